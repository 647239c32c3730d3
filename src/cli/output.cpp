// Plain write(2) behind a 64 KiB buffer.
#include "cli/output.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace miao::cli {

namespace {

constexpr size_t kBuffer = size_t{64} << 10;

void end_by_sigpipe() {
  ::signal(SIGPIPE, SIG_DFL);
  ::raise(SIGPIPE);
}

}  // namespace

void Output::write(std::string_view bytes) {
  buffer_ += bytes;
  if (buffer_.size() >= kBuffer) drain();
}

void Output::line(std::string_view text) {
  write(text);
  write("\n");
}

void Output::drain() {
  for (size_t at = 0; at < buffer_.size() && !error_;) {
    const ssize_t n = ::write(fd_, buffer_.data() + at, buffer_.size() - at);
    if (n >= 0) {
      at += static_cast<size_t>(n);
    } else if (errno == EPIPE) {
      end_by_sigpipe();
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  buffer_.clear();
}

Result<void> Output::flush() {
  drain();
  if (!error_) return {};
  return Error{Code::io, std::string("cannot write: ") + std::strerror(error_), "standard output"};
}

Output& out() {
  static Output instance(STDOUT_FILENO);
  return instance;
}

}  // namespace miao::cli
