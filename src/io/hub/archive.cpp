// libzip reads zip files; tar.gz is read here over zlib (ustar with the GNU and pax long names). Both check the CRC of
// what they unpack: libzip that of each file, zlib that of the whole stream, which shows only at its end.
#include "io/hub/archive.h"

#include <fcntl.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "io/hub/download.h"
#include "io/hub/ref.h"
#include "io/hub/split_files.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 40;
constexpr int64_t kMaxEntries = 200000;

// Writes one extracted file; never over an existing one.
class Output {
 public:
  static Result<Output> create(const fs::path& into, std::string_view name) {
    Output out;
    out.path_ = into / fs::path(name);
    MIAO_CHECK_OK(make_directories(out.path_.parent_path()));
    out.fd_ = ::open(out.path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (out.fd_ < 0) return out.failed("cannot create");
    return out;
  }
  Output(Output&& other) noexcept : path_(std::move(other.path_)), fd_(other.fd_) { other.fd_ = -1; }
  Output& operator=(Output&&) = delete;
  ~Output() {
    if (fd_ >= 0) ::close(fd_);
  }
  Result<void> write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("cannot write");
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }
  Result<void> finish() {
    if (::fsync(fd_) != 0) return failed("cannot flush");
    return {};
  }

 private:
  Output() = default;
  Error failed(const char* what) const {
    return {Code::io, std::string(what) + ": " + std::strerror(errno), path_.string()};
  }
  fs::path path_;
  int fd_ = -1;
};

// Copies `size` bytes from `read(buffer, n)` (bytes read, 0 = end, negative = broken) to a new file.
Result<void> copy_entry(const fs::path& into, const std::string& name, uint64_t size, const std::string& place,
                        const ResolveOptions& options, const std::function<int64_t(char*, size_t)>& read) {
  MIAO_TRY(Output out, Output::create(into, name));
  std::vector<char> buffer(size_t{1} << 20);
  for (uint64_t done = 0; done < size;) {
    if (options.cancel && options.cancel->load()) return Error{Code::cancelled, "interrupted", place};
    const int64_t n = read(buffer.data(), static_cast<size_t>(std::min<uint64_t>(buffer.size(), size - done)));
    if (n <= 0) return Error{Code::corrupt, "cannot be unpacked: " + name + " is cut short or damaged", place};
    MIAO_CHECK_OK(out.write({buffer.data(), static_cast<size_t>(n)}));
    done += static_cast<uint64_t>(n);
    if (options.progress) options.progress({name, done, size});
  }
  return out.finish();
}

Error bad_name(const std::string& place) {
  return {Code::corrupt, "holds a file name that would leave the directory; it was not unpacked", place};
}

struct ZipCloser {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

Result<size_t> extract_zip(const fs::path& path, const fs::path& into, const ResolveOptions& options) {
  const std::string place = path.filename().string();
  int error = 0;
  const std::unique_ptr<zip_t, ZipCloser> archive(zip_open(path.c_str(), ZIP_RDONLY, &error));
  if (!archive)
    return Error{Code::corrupt, "is not a readable zip file (libzip error " + std::to_string(error) + ")", place};
  const int64_t entries = zip_get_num_entries(archive.get(), 0);
  if (entries > kMaxEntries) return Error{Code::corrupt, "holds too many files", place};
  std::vector<zip_stat_t> wanted;
  uint64_t total = 0;
  for (int64_t i = 0; i < entries; ++i) {
    zip_stat_t info;
    if (zip_stat_index(archive.get(), static_cast<uint64_t>(i), 0, &info) != 0 || !info.name) {
      return Error{Code::corrupt, "has a damaged directory", place};
    }
    const std::string_view name = info.name;
    if (name.ends_with('/')) continue;
    if (!is_safe_relative(name)) return bad_name(place);
    if (!is_model_file(name)) continue;
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    zip_file_get_external_attributes(archive.get(), info.index, 0, &system, &attributes);
    if (system == ZIP_OPSYS_UNIX && ((attributes >> 16) & 0170000) == 0120000) {
      return Error{Code::corrupt, "holds a symbolic link: " + std::string(name), place};
    }
    const auto sum = checked_add(total, info.size);
    if (!sum || *sum > kMaxBytes) return Error{Code::corrupt, "declares too many bytes", place};
    total = *sum;
    wanted.push_back(info);
  }
  MIAO_CHECK_OK(check_space(into, total));
  for (const zip_stat_t& info : wanted) {
    const std::unique_ptr<zip_file_t, ZipCloser> file(zip_fopen_index(archive.get(), info.index, 0));
    if (!file) return Error{Code::corrupt, "cannot be unpacked: " + std::string(zip_strerror(archive.get())), place};
    MIAO_CHECK_OK(copy_entry(into, info.name, info.size, place, options,
                             [&](char* data, size_t n) { return zip_fread(file.get(), data, n); }));
    // Reading on at the end makes libzip compare the CRC.
    char extra;
    if (zip_fread(file.get(), &extra, 1) != 0) {
      return Error{Code::corrupt, "cannot be unpacked: " + std::string(info.name) + " has a wrong size or CRC", place};
    }
  }
  return wanted.size();
}

// A number of a tar header: octal text, or big-endian binary when the first bit is set.
std::optional<uint64_t> tar_number(const char* field, size_t width) {
  uint64_t value = 0;
  if (static_cast<unsigned char>(field[0]) & 0x80) {
    value = static_cast<unsigned char>(field[0]) & 0x7f;
    for (size_t i = 1; i < width; ++i) {
      if (value >> 56) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(field[i]);
    }
    return value;
  }
  for (size_t i = 0; i < width && field[i]; ++i) {
    if (field[i] == ' ') continue;
    if (field[i] < '0' || field[i] > '7' || value >> 60) return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(field[i] - '0');
  }
  return value;
}

bool checksum_fits(const std::array<char, 512>& block) {
  uint64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  return tar_number(&block[148], 8) == sum;
}

// What a pax header or a GNU long name says of the entry after it.
struct Extended {
  std::string name;
  std::optional<uint64_t> size;
};

// Takes the records "LENGTH KEY=VALUE\n" of a pax header that matter here; false where one is malformed.
bool read_pax(std::string_view records, Extended& out) {
  while (!records.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    const size_t head = static_cast<size_t>(end - records.data()) + 1;
    if (error != std::errc() || length <= head || length > records.size()) return false;
    const std::string_view record = records.substr(head, length - head - 1);
    if (record.starts_with("path=")) out.name = record.substr(5);
    if (record.starts_with("size=")) {
      uint64_t value = 0;
      const auto number = std::from_chars(record.data() + 5, record.data() + record.size(), value);
      if (number.ec != std::errc() || number.ptr != record.data() + record.size()) return false;
      out.size = value;
    }
    records.remove_prefix(length);
  }
  return true;
}

class TarReader {
 public:
  TarReader(const fs::path& path, const fs::path& into, const ResolveOptions& options)
      : place_(path.filename().string()), into_(into), options_(options), file_(gzopen(path.c_str(), "rbe")) {
    if (file_) gzbuffer(file_, 1 << 18);
  }
  TarReader(const TarReader&) = delete;
  ~TarReader() {
    if (file_) gzclose(file_);
  }

  Result<size_t> extract() {
    if (!file_) return Error{Code::io, "cannot open", place_};
    for (int64_t entries = 0;; ++entries) {
      if (entries > kMaxEntries) return Error{Code::corrupt, "holds too many files", place_};
      Block block;
      if (read(block.data(), block.size()) != static_cast<int64_t>(block.size())) return damaged();
      if (gzdirect(file_)) return damaged();  // zlib passes what is not gzip through as it is
      if (std::all_of(block.begin(), block.end(), [](char c) { return c == 0; })) break;
      MIAO_CHECK_OK(entry(block));
    }
    MIAO_CHECK_OK(finish());
    return count_;
  }

 private:
  using Block = std::array<char, 512>;

  Error damaged() const { return {Code::corrupt, "is not a readable tar.gz file, or is damaged or cut short", place_}; }

  int64_t read(char* data, size_t n) { return gzread(file_, data, static_cast<unsigned>(n)); }

  Result<void> skip(uint64_t n) {
    std::vector<char> buffer(1 << 16);
    while (n > 0) {
      if (options_.cancel && options_.cancel->load()) return Error{Code::cancelled, "interrupted", place_};
      const int64_t got = read(buffer.data(), static_cast<size_t>(std::min<uint64_t>(n, buffer.size())));
      if (got <= 0) return damaged();
      n -= static_cast<uint64_t>(got);
    }
    return {};
  }

  // Reads on to the end of the stream, where zlib compares the CRC and the length.
  Result<void> finish() {
    std::vector<char> buffer(1 << 16);
    int64_t got = 0;
    while ((got = read(buffer.data(), buffer.size())) > 0) {
      if (options_.cancel && options_.cancel->load()) return Error{Code::cancelled, "interrupted", place_};
    }
    const int closed = gzclose(std::exchange(file_, nullptr));
    if (got < 0 || closed != Z_OK) return damaged();
    return {};
  }

  Result<void> entry(const Block& block) {
    if (!checksum_fits(block)) return damaged();
    auto size = tar_number(&block[124], 12);
    if (!size) return damaged();
    const char type = block[156];
    const bool describes_next = type == 'L' || type == 'x';
    if (next_.size && !describes_next) size = next_.size;
    if (*size > kMaxBytes) return Error{Code::corrupt, "declares too many bytes", place_};
    const uint64_t padding = (512 - *size % 512) % 512;
    if (describes_next) {
      if (*size > (1 << 20)) return damaged();
      std::string text(*size, '\0');
      if (read(text.data(), text.size()) != static_cast<int64_t>(text.size())) return damaged();
      if (type == 'L')
        next_.name = text.c_str();
      else if (!read_pax(text, next_))
        return damaged();
      return skip(padding);
    }
    auto field = [&](size_t at, size_t width) { return std::string(&block[at], ::strnlen(&block[at], width)); };
    std::string name = field(0, 100);
    if (const std::string prefix = field(345, 155); std::memcmp(&block[257], "ustar", 5) == 0 && !prefix.empty()) {
      name = prefix + "/" + name;
    }
    if (!next_.name.empty()) name = next_.name;
    next_ = {};
    if (name.starts_with("./")) name.erase(0, 2);
    const bool regular = type == '0' || type == '\0';
    if (!regular || !is_model_file(name)) return skip(*size + padding);
    if (!is_safe_relative(name)) return bad_name(place_);
    total_ += *size;  // both are at most kMaxBytes
    if (total_ > kMaxBytes) return Error{Code::corrupt, "declares too many bytes", place_};
    MIAO_CHECK_OK(check_space(into_, *size));
    MIAO_CHECK_OK(
        copy_entry(into_, name, *size, place_, options_, [this](char* data, size_t n) { return read(data, n); }));
    ++count_;
    return skip(padding);
  }

  const std::string place_;
  const fs::path& into_;
  const ResolveOptions& options_;
  gzFile file_;
  Extended next_;
  size_t count_ = 0;
  uint64_t total_ = 0;
};

}  // namespace

bool is_model_file(std::string_view path) {
  std::string_view name = path.substr(path.find_last_of('/') + 1);
  if (const FilePart part = file_part(name); part.number > 0) name = part.whole;
  const bool metadata =
      path.find(".dist-info/") != std::string_view::npos || path.find(".egg-info/") != std::string_view::npos;
  if (name.starts_with("LICENSE") || name.starts_with("NOTICE")) return true;
  if (metadata || name.starts_with('.')) return false;
  if (name == "model.bin") return true;  // CTranslate2's; pickles have other names
  constexpr std::string_view kEndings[] = {".gguf", ".safetensors", ".json", ".txt", ".jinja", ".model", ".spm"};
  return std::any_of(std::begin(kEndings), std::end(kEndings), [&](std::string_view e) { return name.ends_with(e); });
}

Result<size_t> extract_models(const fs::path& archive, const fs::path& into, const ResolveOptions& options) {
  const std::string name = archive.filename().string();
  if (name.ends_with(".tar.gz") || name.ends_with(".tgz")) return TarReader(archive, into, options).extract();
  return extract_zip(archive, into, options);
}

}  // namespace miao::io
