// The .npy file: header space, values, then the header.
#include "io/npy.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "base/checked.h"
#include "base/file.h"

namespace miao::io {

namespace {

static_assert(std::endian::native == std::endian::little, "the file says '<f4'");

constexpr size_t kHeaderBytes = 128;  // a multiple of 64, as NumPy aligns the values

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

Result<NpyWriter> NpyWriter::create(const std::filesystem::path& path, int64_t cols) {
  MIAO_CHECK(cols >= 1);
  MIAO_TRY(AtomicFile file, AtomicFile::create(path));
  const std::string header = npy_header(0, cols);
  MIAO_CHECK_OK(file.append(std::as_bytes(std::span(header))));
  return NpyWriter(std::move(file), cols);
}

Result<void> NpyWriter::append(std::span<const float> values) {
  MIAO_CHECK(values.size() % static_cast<size_t>(cols_) == 0);
  MIAO_CHECK_OK(file_.append(std::as_bytes(values)));
  rows_ += static_cast<int64_t>(values.size() / static_cast<size_t>(cols_));
  return {};
}

Result<void> NpyWriter::finish() {
  const std::string header = npy_header(rows_, cols_);
  MIAO_CHECK_OK(file_.patch(0, std::as_bytes(std::span(header))));
  return file_.commit();
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
