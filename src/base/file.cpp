// Files over POSIX calls. A page of a mapping that its file no longer has raises SIGBUS; a guard turns that into one
// clear line and exit code 1, since no caller could go on without its weights.
#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "base/fault.h"

namespace miao {

namespace fs = std::filesystem;

namespace {

constexpr uintptr_t kPageBytes = 4096;
constexpr const char* kTemporary = ".tmp.";

const char* mend_of(int error) {
  if (error == ENOSPC || error == EDQUOT) return "; make room there, or write to another place";
  if (error == EFBIG) return "; raise the limit of file sizes (ulimit -f), or write to another place";
  return "";
}

Error system_error(const std::filesystem::path& path, const char* what) {
  const int error = errno;
  const Code code = error == ENOENT ? Code::not_found : Code::io;
  return {code, std::string(what) + ": " + std::strerror(error) + mend_of(error), path.string()};
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

std::string link_of(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.parent_path().empty() ? std::filesystem::path(".") : path.parent_path();
}

struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

// Of "model.gguf.tmp.123.0", what a process that has ended left where it was to become "model.gguf": it is deleted. On
// file systems of several machines its writer may live on another one, and then holds a lock.
void remove_left_over(const std::filesystem::path& path) {
  const std::string prefix = path.filename().string() + kTemporary;
  std::error_code error;
  fs::directory_iterator at(folder_of(path), error);
  for (const fs::directory_iterator end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    pid_t writer = 0;
    const auto number = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), writer);
    if (writer <= 0 || *number.ptr != '.' || ::kill(writer, 0) == 0 || errno != ESRCH) continue;
    const Fd file{::open(at->path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (file.fd >= 0 && ::flock(file.fd, LOCK_EX | LOCK_NB) == 0) ::unlink(at->path().c_str());
  }
}

void on_sigbus(int) {
  static const char text[] =
      "miao: error: a model file was truncated while in use; start again, and if it says so again, fetch it again\n";
  [[maybe_unused]] auto n = ::write(2, text, sizeof text - 1);
  ::_exit(1);
}

void guard_sigbus() {
  static std::atomic<bool> done{false};
  if (done.exchange(true)) return;
  struct sigaction old {};
  if (::sigaction(SIGBUS, nullptr, &old) == 0 && old.sa_handler == SIG_DFL) {
    struct sigaction action {};
    action.sa_handler = on_sigbus;
    ::sigaction(SIGBUS, &action, nullptr);
  }
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return system_error(path, "cannot open");
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return system_error(path, "cannot stat");
  if (!S_ISREG(info.st_mode)) return Error{Code::invalid, "is not a regular file", path.string()};
  MappedFile out;
  out.path_ = path.string();
  out.size_ = static_cast<size_t>(info.st_size);
  for (const auto part : {info.st_size, static_cast<int64_t>(info.st_ino), info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                          info.st_ctim.tv_sec, info.st_ctim.tv_nsec}) {
    out.identity_ += std::to_string(part) + ' ';
  }
  if (out.size_ > 0) {
    guard_sigbus();
    void* p = ::mmap(nullptr, out.size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (p == MAP_FAILED) return system_error(path, "cannot map");
    out.data_ = static_cast<const std::byte*>(p);
  }
  return out;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  std::swap(identity_, other.identity_);
  return *this;
}
MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::want_huge_pages() const {
  if (data_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_HUGEPAGE);
}

bool MappedFile::readable(std::span<const std::byte> range) const {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(range.data()) & ~(kPageBytes - 1);
  const uintptr_t end = reinterpret_cast<uintptr_t>(range.data()) + range.size();
  if (begin >= end || ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ) == 0) return true;
  return errno != EFAULT && errno != EHWPOISON;
}

void MappedFile::release(std::span<const std::byte> range) const {
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(range.data()) + kPageBytes - 1) & ~(kPageBytes - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(range.data()) + range.size()) & ~(kPageBytes - 1);
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

Result<NamelessFile> NamelessFile::create(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return system_error(folder, "cannot create a file");
  return NamelessFile(folder, fd);
}
NamelessFile::~NamelessFile() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> NamelessFile::append(std::span<const std::byte> bytes) {
  return write_all(fd_, bytes) ? Result<void>() : system_error(folder_, "cannot write");
}

Result<void> NamelessFile::name(const std::string& file_name) {
  const std::filesystem::path path = folder_ / file_name;
  if (::linkat(AT_FDCWD, link_of(fd_).c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST)
    return {};
  return system_error(path, "cannot name the file");
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, unsigned mode, bool nameless) {
  MIAO_CHECK_OK(replaceable(path));
  remove_left_over(path);
  static std::atomic<unsigned> count{0};  // threads may write the same file
  AtomicFile out(path);
  out.temporary_ = path.string() + kTemporary + std::to_string(::getpid()) + "." + std::to_string(count++);
  if (nameless) out.fd_ = ::open(folder_of(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  if (out.fd_ >= 0 && ::access(link_of(out.fd_).c_str(), F_OK) == 0) return out;
  if (out.fd_ >= 0) ::close(out.fd_);
  out.fd_ = ::open(out.temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (out.fd_ < 0) return out.failed("cannot create");
  ::flock(out.fd_, LOCK_EX | LOCK_NB);  // see remove_left_over
  out.named_ = true;
  return out;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept { *this = std::move(other); }
AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(named_, other.named_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}
AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (named_) ::unlink(temporary_.c_str());
}

Error AtomicFile::failed(const char* what) const { return system_error(path_, what); }

Result<void> AtomicFile::reserve(uint64_t bytes) {
  if (fault_point("file.reserve")) return failed("cannot take the room for the file");
  if (bytes == 0 || ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0) return {};
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return {};
  return failed("cannot take the room for the file");
}

Result<void> AtomicFile::append(std::span<const std::byte> bytes) {
  if (fault_point("file.write") || !write_all(fd_, bytes)) return failed("cannot write");
  size_ += bytes.size();
  return {};
}

Result<void> AtomicFile::patch(uint64_t offset, std::span<const std::byte> bytes) {
  MIAO_CHECK(offset <= size_ && bytes.size() <= size_ - offset);
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("cannot write");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

std::filesystem::path AtomicFile::readable() const { return named_ ? temporary_ : std::filesystem::path(link_of(fd_)); }

// A name is given by a link, which replaces nothing, and moved by a rename, which does.
Result<void> AtomicFile::commit() {
  if (fault_point("file.flush") || ::fsync(fd_) != 0) return failed("cannot flush");
  if (!named_) {
    ::flock(fd_, LOCK_EX | LOCK_NB);
    if (::linkat(AT_FDCWD, link_of(fd_).c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0)
      return failed("cannot name the file");
    named_ = true;
  }
  if (fault_point("file.rename")) return failed("cannot rename into place");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("cannot rename into place");
  named_ = false;
  fault_point("file.renamed");
  return {};
}

Result<void> check_text(std::string_view bytes, std::string_view where) {
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) {
    return Error{Code::invalid, "is UTF-16; make it UTF-8, as with iconv -f UTF-16 -t UTF-8", std::string(where)};
  }
  if (const size_t at = bytes.find('\0'); at != std::string_view::npos) {
    return Error{Code::invalid, "is binary (byte " + std::to_string(at) + " is 0); give files of text",
                 std::string(where)};
  }
  return {};
}

Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes) {
  Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return system_error(path, "cannot open");
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(file.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, "cannot read");
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > max_bytes) {
      return Error{Code::invalid, "is larger than the limit of " + std::to_string(max_bytes) + " bytes", path.string()};
    }
    out.append(buffer, static_cast<size_t>(n));
  }
}

Result<void> replaceable(const std::filesystem::path& path) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  if (kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::regular) {
    return Error{Code::invalid,
                 kind == std::filesystem::file_type::directory ? "is a folder; name a file in it"
                                                               : "is not an ordinary file, which this would replace",
                 path.string()};
  }
  const std::filesystem::path folder = folder_of(path);
  if (!std::filesystem::is_directory(folder, error)) {
    return Error{Code::not_found, "cannot be written: there is no folder '" + folder.string() + "'; make it first",
                 path.string()};
  }
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return {};
  return Error{Code::io, "cannot be written: the folder '" + folder.string() + "' is not writable", path.string()};
}

Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view bytes) {
  return write_file_atomic(path, {&bytes, 1}, 0644);
}

Result<void> write_file_atomic(const std::filesystem::path& path, std::span<const std::string_view> parts,
                               unsigned mode) {
  MIAO_TRY(AtomicFile file, AtomicFile::create(path, mode));
  for (const std::string_view bytes : parts) MIAO_CHECK_OK(file.append(std::as_bytes(std::span(bytes))));
  return file.commit();
}

}  // namespace miao
