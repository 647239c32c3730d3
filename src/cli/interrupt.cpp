#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace miao::cli {

namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // so that a signal handler may set it

void on_signal(int) {
  if (flag.exchange(true)) ::_exit(130);
}

void leave(int) {
  constexpr char kLine[] = "miao: error: interrupted\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kLine, sizeof kLine - 1);
  ::_exit(130);
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);  // no SA_RESTART: a blocked read returns
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

void catch_interrupts() { handle(on_signal); }

void exit_on_interrupt() {
  handle(leave);
  if (flag) leave(0);
}

const std::atomic<bool>& interrupted() { return flag; }

}  // namespace miao::cli
