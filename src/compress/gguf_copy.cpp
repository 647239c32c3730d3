#include "compress/gguf_copy.h"

#include <algorithm>
#include <utility>

#include "compress/rounding.h"
#include "models/convert.h"

namespace miao::compress {

namespace {

constexpr int64_t kSlice = int64_t{4} << 20;  // weights at a time

Result<void> write(io::GgufWriter& file, const models::ConvertedTensor& t, uint64_t& done,
                   const std::function<void(uint64_t)>& progress) {
  const DType to = t.gguf_type();
  const bool copies = to == t.dtype() && t.moved_only();
  const int64_t step = std::max<int64_t>(1, kSlice / std::max<int64_t>(1, t.cols()));
  std::vector<float> values;
  std::vector<std::byte> bytes;
  for (int64_t row = 0; row < t.rows(); row += step) {
    const int64_t count = std::min(step, t.rows() - row);
    bytes.resize(static_cast<size_t>(count * row_bytes(to, t.cols())));
    if (copies) {
      t.copy(row, row + count, bytes.data());
    } else {
      values.resize(static_cast<size_t>(count * t.cols()));
      t.decode(row, row + count, values.data());
      for (int64_t r = 0; r < count; ++r) {
        const std::span<const float> own(values.data() + r * t.cols(), static_cast<size_t>(t.cols()));
        auto coded = encode_row(to, Rounding::nearest, own, {}, bytes.data() + r * row_bytes(to, t.cols()));
        if (!coded.ok()) return std::move(coded.error()).at(t.name() + ": row " + std::to_string(row + r));
      }
    }
    MIAO_CHECK_OK(file.write(t.name(), bytes));
    progress(done += bytes.size());
  }
  return {};
}

}  // namespace

GgufCopy GgufCopy::of(io::GgufWriter file) {
  GgufCopy out;
  out.path_ = file.readable();
  out.file_ = std::move(file);
  return out;
}

Result<GgufCopy> GgufCopy::of(const io::Checkpoint& model, const std::filesystem::path& beside,
                              const std::function<void(uint64_t done, uint64_t total)>& progress,
                              const std::atomic<bool>* cancel) {
  GgufCopy out;
  if (model.kind() == io::Checkpoint::Kind::gguf) {
    out.path_ = model.path();
    return out;
  }
  MIAO_TRY(models::Converted converted, models::to_gguf(model));
  std::vector<io::TensorInfo> infos;
  uint64_t total = 0, done = 0;
  for (const models::ConvertedTensor& t : converted.tensors) {
    if (!can_encode(t.gguf_type()) || format(t.gguf_type()).block > 1) {
      return Error{Code::unsupported, std::string("holds ") + format(t.dtype()).name + ", which is no type of weights",
                   t.name()};
    }
    infos.push_back({t.name(), t.gguf_type(), t.shape()});
    total += static_cast<uint64_t>(t.rows() * row_bytes(t.gguf_type(), t.cols()));
  }
  MIAO_TRY(out.file_, io::GgufWriter::create(beside, std::move(converted.metadata), std::move(infos), cancel));
  for (const models::ConvertedTensor& t : converted.tensors) {
    MIAO_CHECK_OK(write(*out.file_, t, done, [&](uint64_t n) {
      if (progress) progress(n, total);
    }));
  }
  MIAO_CHECK_OK(out.file_->finish());
  out.path_ = out.file_->readable();
  out.notes_ = std::move(converted.notes);
  return out;
}

}  // namespace miao::compress
