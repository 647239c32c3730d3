// The state machine of a download: (open partial, hash what is there) -> request the rest -> verify -> rename.
#include "io/hub/download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"

namespace miao::io {

namespace fs = std::filesystem;

namespace {

constexpr int kAttempts = 5;               // in a row without a new byte
constexpr int kConnectAttempts = 3;        // of a small request that gets no answer at all
constexpr double kMaxBackoffSeconds = 60;  // also bounds Retry-After

Error system_error(const fs::path& path, const char* what) {
  return {Code::io, std::string(what) + ": " + std::strerror(errno), path.string()};
}

bool is_cancelled(const ResolveOptions& options) { return options.cancel && options.cancel->load(); }

bool is_passing(long status) { return status == 408 || status == 429 || (status >= 500 && status <= 599); }

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Waits before try `attempt` (1, 2, ...) in steps, so that Ctrl-C is answered at once.
void back_off(const ResolveOptions& options, int attempt, const std::string& retry_after) {
  double seconds = options.retry_seconds * static_cast<double>(1 << std::min(attempt - 1, 10));
  seconds = std::max(seconds, static_cast<double>(number(retry_after)));
  seconds = std::min(seconds, kMaxBackoffSeconds);
  for (double slept = 0; slept < seconds && !is_cancelled(options); slept += 0.05) {
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(0.05, seconds - slept)));
  }
}

Error cancelled(const std::string& name) {
  return {Code::cancelled, "interrupted; run it again to continue where it stopped", name};
}

// The partial file while it is being written.
class Partial {
 public:
  static Result<Partial> open(const Download& job) {
    Partial out(job);
    out.fd_ = ::open(job.partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (out.fd_ < 0) return system_error(job.partial, "cannot create");
    struct stat info {};
    if (::fstat(out.fd_, &info) != 0) return system_error(job.partial, "cannot stat");
    out.size_ = static_cast<uint64_t>(info.st_size);
    auto tag = read_file(out.etag_path(), 4096);
    out.etag_ = tag.ok() ? *tag : std::string();
    const bool checkable = !job.sha256.empty() || !job.git_sha1.empty();
    if ((job.size && out.size_ > job.size) || (!checkable && out.etag_.empty())) MIAO_CHECK_OK(out.restart(""));
    MIAO_CHECK_OK(out.hash_prefix());
    return out;
  }
  Partial(Partial&& other) noexcept
      : job_(other.job_),
        hasher_(std::move(other.hasher_)),
        etag_(std::move(other.etag_)),
        fd_(other.fd_),
        size_(other.size_) {
    other.fd_ = -1;
  }
  Partial& operator=(Partial&&) = delete;
  ~Partial() {
    if (fd_ >= 0) ::close(fd_);
  }

  uint64_t size() const { return size_; }
  const std::string& etag() const { return etag_; }

  // Back to no bytes, of the version that the server calls `etag`.
  Result<void> restart(const std::string& etag) {
    if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0)
      return system_error(job_->partial, "cannot truncate");
    size_ = 0;
    hasher_ = start_hash();
    return remember(etag);
  }
  // Not by a rename: a tag that was cut short fits no version, so the next call starts over.
  Result<void> remember(const std::string& etag) {
    if (etag == etag_) return {};
    etag_ = etag;
    std::error_code ignored;
    fs::remove(etag_path(), ignored);
    if (etag.empty()) return {};
    std::ofstream file(etag_path(), std::ios::binary);
    file << etag << std::flush;
    return file ? Result<void>() : system_error(etag_path(), "cannot write");
  }
  Result<void> append(std::string_view bytes) {
    hasher_.add(bytes);
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return system_error(job_->partial, "cannot write");
      size_ += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }
  std::string digest() { return hasher_.hex(); }
  Result<void> finish() {
    if (::fsync(fd_) != 0) return system_error(job_->partial, "cannot flush");
    std::error_code ignored;
    fs::remove(etag_path(), ignored);  // first: nobody would come back for it after the rename
    if (::rename(job_->partial.c_str(), job_->target.c_str()) != 0) return system_error(job_->target, "cannot rename");
    sync_directory(job_->target.parent_path());
    return {};
  }
  void discard() {
    std::error_code ignored;
    fs::remove(job_->partial, ignored);
    fs::remove(etag_path(), ignored);
  }

 private:
  explicit Partial(const Download& job) : job_(&job), hasher_(start_hash()) {}
  fs::path etag_path() const { return job_->partial.string() + ".etag"; }
  Hasher start_hash() const {
    if (job_->git_sha1.empty()) return Hasher(Hasher::Kind::sha256);
    Hasher hasher(Hasher::Kind::sha1);
    const std::string head = "blob " + std::to_string(job_->size);
    hasher.add({head.c_str(), head.size() + 1});
    return hasher;
  }
  Result<void> hash_prefix() {
    std::vector<char> buffer(size_t{1} << 20);
    for (uint64_t at = 0; at < size_;) {
      const ssize_t n = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return system_error(job_->partial, "cannot read");
      hasher_.add({buffer.data(), static_cast<size_t>(n)});
      at += static_cast<uint64_t>(n);
    }
    if (::lseek(fd_, static_cast<off_t>(size_), SEEK_SET) < 0) return system_error(job_->partial, "cannot seek");
    return {};
  }

  const Download* job_;
  Hasher hasher_;
  std::string etag_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

// One request for the bytes that are missing. The response's status says how it went; 416 leaves an empty partial.
Result<HttpResponse> request_rest(Http& http, const Download& job, const ResolveOptions& options, Partial& partial) {
  HttpRequest request{.url = job.url, .headers = {"Accept-Encoding: identity"}, .bearer = job.bearer};
  if (partial.size() > 0) {
    request.headers.push_back("Range: bytes=" + std::to_string(partial.size()) + "-");
    if (!partial.etag().empty()) request.headers.push_back("If-Range: " + partial.etag());
  }
  const bool checkable = !job.sha256.empty() || !job.git_sha1.empty();
  uint64_t total = 0;
  HttpSink sink;
  sink.begin = [&](const HttpResponse& response) -> Result<void> {
    std::string etag = response.header("etag");
    if (etag.starts_with("W/")) etag.clear();  // a weak tag promises nothing about bytes
    if (response.status == 206) {
      const auto range = parse_content_range(response.header("content-range"));
      const bool other_version = !checkable && etag != partial.etag();
      const bool endless = range && !range->total && !job.size && !checkable;
      if (!range || range->begin != partial.size() || other_version || endless) {
        MIAO_CHECK_OK(partial.restart(""));
        return Error{Code::busy, "the server sent another range than asked for", job.name};
      }
      total = range->total;
    } else {
      MIAO_CHECK_OK(partial.restart(etag));
      total = number(response.header("content-length"));
    }
    if (job.size && total && total != job.size) {
      return Error{Code::corrupt,
                   "the server has " + std::to_string(total) + " bytes, expected " + std::to_string(job.size),
                   job.name};
    }
    if (job.size) total = job.size;
    if (!total && !checkable && !response.delimited) {
      return Error{Code::unsupported,
                   "the server does not say where the file ends, so a cut download would look whole; give its digest "
                   "(URL#sha256=HEX), or fetch it by other means and give its path",
                   job.name};
    }
    if (job.started) MIAO_CHECK_OK(job.started());
    MIAO_CHECK_OK(partial.remember(etag));
    return check_space(job.partial.parent_path(), total > partial.size() ? total - partial.size() : 0);
  };
  sink.data = [&](std::string_view bytes) -> Result<void> {
    if (total && partial.size() + bytes.size() > total) {
      return Error{Code::corrupt, "the server sent more than " + std::to_string(total) + " bytes", job.name};
    }
    MIAO_CHECK_OK(partial.append(bytes));
    if (options.progress) options.progress({job.name, partial.size(), total});
    return {};
  };
  request.sink = &sink;
  MIAO_TRY(HttpResponse response, http.send(request));
  if (response.status == 416) MIAO_CHECK_OK(partial.restart(""));
  const bool good = response.status == 200 || response.status == 206;
  if (good && total && partial.size() < total) return Error{Code::busy, "the connection was cut", job.name};
  return response;
}

// Requests until the partial file is as long as it should be.
Result<void> fill(Http& http, const Download& job, const ResolveOptions& options, Partial& partial) {
  if (job.size && partial.size() == job.size) return {};
  for (int attempt = 1;;) {
    const uint64_t before = partial.size();
    auto response = request_rest(http, job, options, partial);
    std::string retry_after, reason;
    if (response.ok()) {
      if (response->status == 200 || response->status == 206) return {};
      if (!is_passing(response->status) && response->status != 416) return job.explain(*response);
      retry_after = response->header("retry-after");
      reason = "HTTP status " + std::to_string(response->status);
    } else {
      if (response.error().code != Code::busy) return std::move(response.error());
      reason = response.error().message;
    }
    if (is_cancelled(options)) return cancelled(job.name);
    if (partial.size() > before) attempt = 1;
    if (attempt >= kAttempts) {
      return Error{Code::io, reason + " (" + std::to_string(kAttempts) + " tries); run it again to continue", job.name};
    }
    log_info(job.name + ": " + reason + ", trying again");
    back_off(options, attempt, retry_after);
    ++attempt;
  }
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  return ContentRange{number(text), number(text.substr(slash + 1))};
}

Result<void> download(Http& http, const Download& job, const ResolveOptions& options) {
  std::error_code ignored;
  if (fs::exists(job.target, ignored)) return {};
  MIAO_TRY(const FileLock lock, FileLock::take(job.lock, options));
  if (fs::exists(job.target, ignored)) return {};
  MIAO_CHECK_OK(make_directories(job.target.parent_path()));
  MIAO_CHECK_OK(make_directories(job.partial.parent_path()));
  const std::string& expected = job.sha256.empty() ? job.git_sha1 : job.sha256;
  for (bool last = false;; last = true) {
    MIAO_TRY(Partial partial, Partial::open(job));
    const bool resumed = partial.size() > 0;
    if (auto r = fill(http, job, options, partial); !r.ok()) {
      if (r.error().code == Code::corrupt || partial.size() == 0) partial.discard();
      return r.error().code == Code::cancelled ? cancelled(job.name) : std::move(r.error());
    }
    const std::string digest = partial.digest();
    if (expected.empty() || digest == expected) return partial.finish();
    partial.discard();
    // Bytes of an older version or of an unclean stop may have been continued: try once from the beginning.
    if (last || !resumed) {
      return Error{Code::corrupt,
                   std::string(job.sha256.empty() ? "SHA-1" : "SHA-256") + " of the download is " + digest +
                       ", expected " + expected + "; it was deleted, try again",
                   job.name};
    }
    log_warn(job.name + ": the continued download has a wrong digest, starting over");
  }
}

Result<HttpResponse> fetch(Http& http, const HttpRequest& request, const ResolveOptions& options) {
  for (int attempt = 1;; ++attempt) {
    auto response = http.send(request);
    if (response.ok() && !is_passing(response->status)) return response;
    if (!response.ok() && response.error().code != Code::busy) return response;
    if (is_cancelled(options)) return Error{Code::cancelled, "interrupted", url_for_people(request.url)};
    if (attempt >= (response.ok() ? kAttempts : kConnectAttempts)) {
      if (response.ok()) return response;
      return Error{Code::io, response.error().message, url_for_people(request.url)};
    }
    back_off(options, attempt, response.ok() ? response->header("retry-after") : std::string());
  }
}

Result<FileLock> FileLock::take(const fs::path& path, const ResolveOptions& options) {
  MIAO_CHECK_OK(make_directories(path.parent_path()));
  FileLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.fd_ < 0) return system_error(path, "cannot create the lock file");
  for (bool told = false;; told = true) {
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK && errno != EINTR) return system_error(path, "cannot lock");
    if (!told) log_info("waiting for another process that downloads the same file");
    if (is_cancelled(options)) return cancelled(path.string());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return Error{Code::io, "cannot create the directory: " + error.message(), path.string()};
  return {};
}

void sync_directory(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

Result<void> check_space(const fs::path& directory, uint64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(directory, error);
  if (error || space.available >= bytes) return {};
  return Error{Code::io,
               "needs " + std::to_string(bytes >> 20) + " MiB, but only " + std::to_string(space.available >> 20) +
                   " MiB are free; make room or move the cache (MIAO_CACHE, HF_HOME)",
               directory.string()};
}

}  // namespace miao::io
