#include "io/tensor_file.h"

#include "base/check.h"
#include "base/checked.h"
#include "io/files/format.h"

namespace miao::io {

namespace {

uint64_t bytes_of(const TensorInfo& tensor) {
  const Result<uint64_t> bytes = checked_bytes(tensor);
  MIAO_CHECK(bytes.ok());
  return *bytes;
}

}  // namespace

Result<uint64_t> checked_bytes(const TensorInfo& tensor) {
  const std::string where = "tensor " + in_quotes(tensor.name);
  if (!plain_name(tensor.name)) {
    return Error{Code::invalid, "a tensor's name must not be empty or hold control characters", where};
  }
  std::optional<uint64_t> elements = 1;
  for (const int64_t dim : tensor.shape) {
    if (dim < 0) return Error{Code::invalid, "has a dimension below 0", where};
    elements = checked_mul(*elements, static_cast<uint64_t>(dim));
    if (!elements || *elements > INT64_MAX) return Error{Code::invalid, "is too large to count its elements", where};
  }
  const Format& f = format(tensor.dtype);
  const int64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (cols % f.block != 0) {
    return Error{Code::invalid,
                 "has rows of " + std::to_string(cols) + " values, not whole " + f.name + " blocks of " +
                     std::to_string(f.block),
                 where};
  }
  const auto bytes = checked_mul(*elements / static_cast<uint64_t>(f.block), static_cast<uint64_t>(f.bytes));
  if (!bytes || *bytes > INT64_MAX) return Error{Code::invalid, "is too large to count its bytes", where};
  return *bytes;
}

TensorFile::TensorFile(AtomicFile file, std::vector<TensorInfo> tensors, uint64_t alignment,
                       const std::atomic<bool>* cancel)
    : file_(std::move(file)), tensors_(std::move(tensors)), alignment_(alignment), cancel_(cancel) {
  if (!tensors_.empty()) left_ = bytes_of(tensors_[0]);
}

Result<TensorFile> TensorFile::create(const std::filesystem::path& path, std::string_view header,
                                      std::vector<TensorInfo> tensors, uint64_t alignment,
                                      const std::atomic<bool>* cancel) {
  std::optional<uint64_t> size = header.size();
  for (const TensorInfo& tensor : tensors) {
    size = checked_add(*size, bytes_of(tensor));
    if (size) size = checked_align(*size, alignment);
    if (!size || *size > INT64_MAX) return Error{Code::invalid, "would be larger than a file can be", path.string()};
  }
  MIAO_TRY(AtomicFile file, AtomicFile::create(path));
  MIAO_CHECK_OK(file.reserve(*size));
  MIAO_CHECK_OK(file.append(std::as_bytes(std::span(header))));
  TensorFile out(std::move(file), std::move(tensors), alignment, cancel);
  MIAO_CHECK_OK(out.close_complete());
  return out;
}

// Ends the tensors that have all their bytes: the one at hand, and empty ones behind it.
Result<void> TensorFile::close_complete() {
  while (left_ == 0 && sha256_.size() < tensors_.size()) {
    const std::string zeros((alignment_ - file_.size() % alignment_) % alignment_, '\0');
    MIAO_CHECK_OK(file_.append(std::as_bytes(std::span(zeros))));
    sha256_.push_back(hasher_.hex());
    hasher_ = Hasher();
    if (sha256_.size() < tensors_.size()) left_ = bytes_of(tensors_[sha256_.size()]);
  }
  return {};
}

Result<void> TensorFile::write(std::string_view tensor, std::span<const std::byte> piece) {
  if (cancel_ && cancel_->load(std::memory_order_relaxed)) {
    return Error{Code::cancelled, "writing the model was cancelled; nothing was changed", {}};
  }
  if (piece.empty()) return {};
  MIAO_CHECK(sha256_.size() < tensors_.size() && tensors_[sha256_.size()].name == tensor && piece.size() <= left_);
  MIAO_CHECK_OK(file_.append(piece));
  hasher_.add({reinterpret_cast<const char*>(piece.data()), piece.size()});
  left_ -= piece.size();
  return close_complete();
}

Result<void> TensorFile::finish() {
  MIAO_CHECK(sha256_.size() == tensors_.size() && !finished_);
  finished_ = true;
  return {};
}

Result<void> TensorFile::patch(uint64_t offset, std::string_view bytes) {
  return file_.patch(offset, std::as_bytes(std::span(bytes)));
}

Result<void> TensorFile::commit() {
  MIAO_CHECK(finished_);
  return file_.commit();
}

}  // namespace miao::io
