// One verified file: resumed, checked, then renamed into place.
//
//   <partial>        the bytes so far; the only thing an interrupted download leaves, where a first byte has come
//   <partial>.etag   what the server called that version, for If-Range
//   <target>         appears complete and verified, by rename, or not at all
//
// One process at a time works on a file (flock on <lock>); the others wait and then find it done.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "io/hub.h"
#include "io/hub/http.h"

namespace miao::io {

struct Download {
  std::string url, bearer;
  std::filesystem::path target, partial, lock;
  std::string name;      // for progress and errors
  std::string sha256;    // expected digest, or empty
  std::string git_sha1;  // expected git object name (SHA-1 of "blob SIZE\0" + bytes), or empty; needs size
  uint64_t size = 0;     // expected; 0 = unknown
  std::function<Error(const HttpResponse&)> explain;  // an answer other than 2xx that a retry will not mend
  std::function<Result<void>()> started;              // may be empty; called before the first byte of a file is kept
};

// Where the server gives no length and closes the connection at the end, a file needs a digest or an expected size:
// without one a cut download could not be told from a whole one, and is refused.
Result<void> download(Http& http, const Download& job, const ResolveOptions& options);

// A GET whose answer is held in memory, with the same retries. Any status that is not passing (429, 5xx) is returned.
Result<HttpResponse> fetch(Http& http, const HttpRequest& request, const ResolveOptions& options);

// "bytes 100-199/200" -> {100, 200}; the total is 0 when it is "*".
struct ContentRange {
  uint64_t begin = 0, total = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view text);

// An exclusive flock, released by the destructor. Waiting ends with Code::cancelled.
class FileLock {
 public:
  static Result<FileLock> take(const std::filesystem::path& path, const ResolveOptions& options);
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

Result<void> make_directories(const std::filesystem::path& path);
void sync_directory(const std::filesystem::path& path);  // so that a rename survives a power cut
// An Error when the file system of `directory` has less than `bytes` free.
Result<void> check_space(const std::filesystem::path& directory, uint64_t bytes);

}  // namespace miao::io
