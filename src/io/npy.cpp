// The .npy file over POSIX calls: header space, values, then the header.
#include "io/npy.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/file.h"

namespace miao::io {

namespace {

static_assert(std::endian::native == std::endian::little, "the file says '<f4'");

constexpr size_t kHeaderBytes = 128;  // a multiple of 64, as NumPy aligns the values

// Everything at `offset`, or false with errno set.
bool write_all(int fd, const char* data, size_t size, off_t offset) {
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, data, size, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    offset += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kPrefix = 10;  // magic, version, header length

}  // namespace

std::string npy_header(int64_t rows, int64_t cols) {
  std::string out("\x93NUMPY\x01\x00", 8);
  constexpr size_t kText = kHeaderBytes - 10;
  out += static_cast<char>(kText);
  out += '\0';
  out += "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " + std::to_string(cols) +
         "), }";
  out.resize(kHeaderBytes - 1, ' ');
  return out + '\n';
}

Error NpyWriter::failed(const char* what) const {
  return {Code::io, std::string(what) + ": " + std::strerror(errno), path_.string()};
}

Result<NpyWriter> NpyWriter::create(const std::filesystem::path& path, int64_t cols) {
  MIAO_CHECK(cols >= 1);
  MIAO_CHECK_OK(replaceable(path));
  NpyWriter out;
  out.path_ = path;
  out.cols_ = cols;
  const std::string temporary = path.string() + ".tmp." + std::to_string(::getpid());
  out.fd_ = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out.fd_ < 0) return out.failed("cannot create");
  out.temporary_ = temporary;
  return out;
}

NpyWriter::NpyWriter(NpyWriter&& other) noexcept { *this = std::move(other); }
NpyWriter& NpyWriter::operator=(NpyWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(fd_, other.fd_);
  std::swap(rows_, other.rows_);
  std::swap(cols_, other.cols_);
  return *this;
}
NpyWriter::~NpyWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Result<void> NpyWriter::append(std::span<const float> values) {
  MIAO_CHECK(fd_ >= 0 && values.size() % static_cast<size_t>(cols_) == 0);
  const size_t row_bytes = static_cast<size_t>(cols_) * sizeof(float);
  const auto offset = static_cast<off_t>(kHeaderBytes + static_cast<size_t>(rows_) * row_bytes);
  if (!write_all(fd_, reinterpret_cast<const char*>(values.data()), values.size_bytes(), offset))
    return failed("cannot write");
  rows_ += static_cast<int64_t>(values.size() / static_cast<size_t>(cols_));
  return {};
}

Result<void> NpyWriter::finish() {
  MIAO_CHECK(fd_ >= 0);
  const std::string text = npy_header(rows_, cols_);
  if (!write_all(fd_, text.data(), text.size(), 0)) return failed("cannot write");
  if (::fsync(fd_) != 0) return failed("cannot flush");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("cannot rename into place");
  ::close(fd_);
  fd_ = -1;
  return {};
}

Result<void> write_npy(const std::filesystem::path& path, std::span<const float> values, int64_t cols) {
  MIAO_TRY(NpyWriter writer, NpyWriter::create(path, cols));
  MIAO_CHECK_OK(writer.append(values));
  return writer.finish();
}

Result<Matrix> read_npy(const std::filesystem::path& path) {
  MIAO_TRY(MappedFile file, MappedFile::open(path));
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const auto corrupt = [&](const char* what) { return Error{Code::corrupt, what, path.string()}; };
  if (bytes.size() < kPrefix || !bytes.starts_with(kMagic) || bytes[6] != 1)
    return corrupt("not a .npy file of version 1");
  const size_t length = static_cast<uint8_t>(bytes[8]) | static_cast<size_t>(static_cast<uint8_t>(bytes[9])) << 8;
  if (bytes.size() - kPrefix < length) return corrupt("the header is cut short");
  const std::string_view header = bytes.substr(kPrefix, length);
  if (header.find("'<f4'") == header.npos || header.find("'fortran_order': False") == header.npos) {
    return Error{Code::unsupported, "expected float32 values in row order", path.string()};
  }
  std::vector<int64_t> shape;
  const size_t open = header.find('(');
  const size_t close = header.find(')');
  if (open == header.npos || close == header.npos || close < open) return corrupt("the header has no shape");
  for (const char* at = header.data() + open + 1; at < header.data() + close;) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(at, header.data() + close, value);
    if (error == std::errc()) shape.push_back(value);
    at = error == std::errc() ? end : at + 1;
  }
  if (shape.empty() || shape.size() > 2) return corrupt("expected one or two dimensions");
  Matrix out;
  out.rows = shape.size() == 2 ? shape[0] : 1;
  out.cols = shape.back();
  const std::string_view data = bytes.substr(kPrefix + length);
  if (out.rows < 0 || out.cols < 0) return corrupt("the shape is negative");
  const auto count = checked_mul(static_cast<uint64_t>(out.rows), static_cast<uint64_t>(out.cols));
  if (!count || *count != data.size() / sizeof(float) || data.size() % sizeof(float) != 0) {
    return corrupt("the data does not fit the shape");
  }
  out.values.resize(*count);
  if (!data.empty()) std::memcpy(out.values.data(), data.data(), data.size());
  return out;
}

}  // namespace miao::io
