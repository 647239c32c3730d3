#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/clock.h"

namespace miao {

namespace {

constexpr size_t kKept = size_t{64} << 10;
constexpr int kPollMs = 20;
constexpr double kGraceSeconds = 2;

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  bool ok() const { return ends_[0] >= 0; }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_writer() { close_end(1); }

  // Adds what is there to `text`, of which the end is kept. At the end of the stream the pipe is closed.
  void drain(std::string& text) {
    std::array<char, 4096> bytes;
    for (int reads = 0; ends_[0] >= 0 && reads < 64; ++reads) {  // one that never stops writing must not hold us
      const ssize_t n = ::read(ends_[0], bytes.data(), bytes.size());
      if (n > 0) {
        text.append(bytes.data(), static_cast<size_t>(n));
        if (text.size() > 2 * kKept) text.erase(0, text.size() - kKept);
      } else if (n == 0) {
        close_end(0);
      } else if (errno != EINTR) {
        return;  // nothing for now
      }
    }
  }

 private:
  void close_end(size_t end) {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }
  std::array<int, 2> ends_{-1, -1};
};

// This process's variables with others in their place, as execve() takes them.
std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& more) {
  std::vector<std::string> out;
  for (char** at = environ; at && *at; ++at) {
    const std::string_view entry(*at);
    const auto named = [&](const auto& v) {
      return entry.starts_with(v.first) && entry.size() > v.first.size() && entry[v.first.size()] == '=';
    };
    if (std::ranges::none_of(more, named)) out.emplace_back(entry);
  }
  for (const auto& [name, value] : more) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// The child, between fork() and execve(): other threads of the parent may hold any lock, so system calls alone.
[[noreturn]] void become_shell(int out, int err, char* const* arguments, char* const* environment, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing < 0 || ::dup2(nothing, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(127);
  ::execve("/bin/sh", arguments, environment);
  ::_exit(127);
}

// A child that leads its group, until it is reaped: what it has not ended by then is killed.
class Group {
 public:
  explicit Group(pid_t leader) : leader_(leader) {}
  ~Group() {
    if (leader_ > 0) end();
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  void ask(int signal) const { ::kill(-leader_, signal); }
  // Its number stays its own until reap(), so that no signal goes astray.
  bool ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(leader_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
  }
  int end() {
    ask(SIGKILL);
    int status = 0;
    while (::waitpid(leader_, &status, 0) < 0 && errno == EINTR) {
    }
    leader_ = -1;
    return status;
  }

 private:
  pid_t leader_;
};

Error failed(const char* what) { return {Code::io, std::string(what) + ": " + std::strerror(errno), {}}; }

void keep_end(std::string& text) {
  if (text.size() > kKept) text.erase(0, text.size() - kKept);
}

}  // namespace

std::string CommandResult::how() const {
  switch (end) {
    case End::exited:
      return "ended with exit status " + std::to_string(code);
    case End::signalled: {
      const char* const name = ::sigabbrev_np(code);
      return "was killed by signal " + std::to_string(code) + (name ? std::string(" (SIG") + name + ")" : "");
    }
    case End::timed_out:
      break;
  }
  return "took too long and was stopped";
}

Result<CommandResult> run_command(const std::string& command, const CommandOptions& options) {
  Pipe out, err;
  if (!out.ok() || !err.ok()) return failed("cannot make a pipe");
  std::vector<std::string> words{"sh", "-c", command}, variables = environment_with(options.environment);
  const std::vector<char*> arguments = pointers(words), environment = pointers(variables);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) return failed("cannot start a process");
  if (child == 0) become_shell(out.writer(), err.writer(), arguments.data(), environment.data(), parent);
  ::setpgid(child, child);  // the child does the same: whoever comes first
  Group group(child);
  out.close_writer();
  err.close_writer();
  for (const Pipe* pipe : {&out, &err}) ::fcntl(pipe->reader(), F_SETFL, O_NONBLOCK);

  CommandResult result;
  const double start = now_seconds();
  double asked = 0;  // when it was told to end
  bool cancelled = false;
  while (!group.ended()) {
    const double now = now_seconds();
    if (asked == 0) {
      cancelled = options.cancel && options.cancel->load();
      const bool late = options.seconds > 0 && now - start >= options.seconds;
      if (late) result.end = CommandResult::End::timed_out;
      if (cancelled || late) {
        group.ask(SIGTERM);
        asked = now;
      }
    } else if (now - asked > kGraceSeconds) {
      group.ask(SIGKILL);
    }
    std::array<pollfd, 2> wait{pollfd{out.reader(), POLLIN, 0}, pollfd{err.reader(), POLLIN, 0}};
    ::poll(wait.data(), wait.size(), kPollMs);  // closed ends are -1, which it passes over
    out.drain(result.out);
    err.drain(result.err);
  }
  out.drain(result.out);
  err.drain(result.err);
  const int status = group.end();
  keep_end(result.out);
  keep_end(result.err);
  if (cancelled) return Error{Code::cancelled, "the command was stopped", {}};
  if (result.end == CommandResult::End::timed_out) return result;
  result.end = WIFEXITED(status) ? CommandResult::End::exited : CommandResult::End::signalled;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
  return result;
}

std::string shell_quoted(const std::string& word) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=%,+@";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace miao
