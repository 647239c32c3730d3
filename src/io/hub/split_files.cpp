#include "io/hub/split_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <vector>

namespace miao::io {

namespace fs = std::filesystem;

namespace {

constexpr int kMostParts = 1000;

struct Descriptor {
  int fd;
  explicit Descriptor(int opened) : fd(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Error failed(const char* what, const fs::path& path) {
  return {Code::io, std::string(what) + ": " + std::strerror(errno), path.string()};
}

Result<void> append(const fs::path& to, const fs::path& from, const ResolveOptions& options) {
  const Descriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.fd < 0) return failed("cannot open", from);
  const Descriptor out(::open(to.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (out.fd < 0) return failed("cannot open", to);
  std::vector<char> buffer(size_t{1} << 20);
  for (;;) {
    if (options.cancel && options.cancel->load()) return Error{Code::cancelled, "interrupted", to.string()};
    const ssize_t got = ::read(in.fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("cannot read", from);
    if (got == 0) break;
    for (ssize_t done = 0; done < got;) {
      const ssize_t n = ::write(out.fd, buffer.data() + done, static_cast<size_t>(got - done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("cannot write", to);
      done += n;
    }
  }
  if (::fsync(out.fd) != 0) return failed("cannot flush", to);
  return {};
}

Result<void> move_neighbours(const fs::path& from, const fs::path& to) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored) && file_part(it->path().filename().string()).number == 0) {
      files.push_back(it->path());
    }
  }
  for (const fs::path& file : files) {
    const fs::path target = to / file.filename();
    std::error_code ignored;
    if (fs::exists(target, ignored)) continue;
    fs::rename(file, target, error);
    if (error) return Error{Code::io, "cannot move into place: " + error.message(), target.string()};
  }
  return {};
}

using Parts = std::map<int, fs::path>;

Result<void> join(const std::string& name, const Parts& parts, const std::string& place,
                  const ResolveOptions& options) {
  int next = 1;
  while (parts.contains(next)) ++next;
  if (parts.size() == 1 || static_cast<int>(parts.size()) != next - 1) {
    const int missing = parts.size() == 1 && next == 2 ? 2 : next;
    return Error{Code::not_found,
                 "holds only some parts of " + name + ": part " + std::to_string(missing) +
                     " is missing; name all packages that have one, as in pypi:A,B",
                 place};
  }
  const fs::path first = parts.at(1);
  for (const auto& [number, path] : parts) {
    if (number == 1) continue;
    MIAO_CHECK_OK(append(first, path, options));
    if (path.parent_path() != first.parent_path()) {
      MIAO_CHECK_OK(move_neighbours(path.parent_path(), first.parent_path()));
    }
    std::error_code ignored;
    fs::remove(path, ignored);
  }
  std::error_code error;
  fs::rename(first, first.parent_path() / name, error);
  if (error) return Error{Code::io, "cannot move into place: " + error.message(), first.string()};
  return {};
}

}  // namespace

FilePart file_part(std::string_view name) {
  constexpr std::string_view kEnding = ".part";
  const size_t at = name.rfind(kEnding);
  if (at == std::string_view::npos || at == 0) return {};
  const std::string_view digits = name.substr(at + kEnding.size());
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 1 || number > kMostParts) return {};
  return {name.substr(0, at), number};
}

Result<void> join_split_files(const fs::path& root, const std::string& place, const ResolveOptions& options) {
  std::map<std::string, Parts> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const FilePart part = file_part(name);
    std::error_code ignored;
    if (part.number == 0 || !it->is_regular_file(ignored)) continue;
    if (!files[std::string(part.whole)].emplace(part.number, it->path()).second) {
      return Error{Code::invalid, "holds " + name + " twice; name packages that belong together", place};
    }
  }
  for (const auto& [name, parts] : files) MIAO_CHECK_OK(join(name, parts, place, options));
  return {};
}

}  // namespace miao::io
