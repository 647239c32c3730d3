#include "runtime/npy.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/checked.h"
#include "base/file.h"

namespace miao::runtime {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kPrefix = 10;  // magic, version, header length
constexpr size_t kAlign = 64;   // of the data

}  // namespace

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

Result<NpyWriter> NpyWriter::create(const std::filesystem::path& path, int64_t rows, int64_t cols) {
  NpyWriter out;
  out.path_ = path;
  out.temporary_ = path.string() + ".part";
  out.rows_left_ = rows;
  out.cols_ = cols;
  out.file_.reset(std::fopen(out.temporary_.c_str(), "wb"));
  if (!out.file_) return out.failed();
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                       std::to_string(cols) + "), }";
  const size_t used = kPrefix + header.size() + 1;
  header.append((used + kAlign - 1) / kAlign * kAlign - used, ' ');
  header += '\n';
  std::string prefix(kMagic);
  prefix += {'\x01', '\x00', static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  header.insert(0, prefix);
  if (std::fwrite(header.data(), 1, header.size(), out.file_.get()) != header.size()) return out.failed();
  return out;
}

NpyWriter::~NpyWriter() {
  if (!file_) return;
  file_.reset();
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

Error NpyWriter::failed() const {
  return {Code::io, std::string("cannot write: ") + std::strerror(errno), temporary_.string()};
}

Result<void> NpyWriter::add(std::span<const float> row) {
  MIAO_CHECK(static_cast<int64_t>(row.size()) == cols_ && rows_left_ > 0);
  --rows_left_;
  if (std::fwrite(row.data(), sizeof(float), row.size(), file_.get()) != row.size()) return failed();
  return {};
}

Result<void> NpyWriter::finish() {
  MIAO_CHECK(rows_left_ == 0);
  if (std::fflush(file_.get()) != 0) return failed();
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return failed();
  file_.reset();
  return {};
}

}  // namespace miao::runtime
