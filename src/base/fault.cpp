#include "base/fault.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>

#include "base/env.h"

namespace miao {

bool fault_point(const char* name) {
  static std::atomic<int> passed{0};  // of the place that the variable names
  const auto text = env("MIAO_FAULT");
  if (!text) return false;
  const std::string_view wanted = *text;
  const size_t first = wanted.find(':'), second = wanted.find(':', first + 1);
  if (second == std::string_view::npos || wanted.substr(0, first) != name) return false;
  int at = 0;
  std::from_chars(wanted.data() + first + 1, wanted.data() + second, at);
  const int times = ++passed;
  const std::string_view how = wanted.substr(second + 1);
  if (times == at && how == "kill") ::kill(::getpid(), SIGKILL);
  if (times == at && how == "interrupt") ::raise(SIGINT);
  if (times < at || how != "full") return false;
  errno = ENOSPC;
  return true;
}

}  // namespace miao
