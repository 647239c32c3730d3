#include "python/log.h"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "python/convert.h"

namespace miao::python {

namespace {

struct Queue {
  std::mutex mutex;
  std::vector<std::pair<LogLevel, std::string>> lines;
};
Queue& queue() {
  static auto* const all = new Queue;  // never destroyed: threads may log until the process ends
  return *all;
}

void push(LogLevel level, std::string_view line) {
  const std::lock_guard lock(queue().mutex);
  queue().lines.emplace_back(level, line);
}

}  // namespace

void log_to_python() {
  set_log_level(LogLevel::info);
  set_log_sink(push);
}

void flush_log() {
  std::vector<std::pair<LogLevel, std::string>> lines;
  {
    const std::lock_guard lock(queue().mutex);
    lines.swap(queue().lines);
  }
  if (lines.empty()) return;
  const nb::object logger = nb::module_::import_("logging").attr("getLogger")("miao");
  for (const auto& [level, line] : lines) {
    constexpr int kPython[] = {10, 20, 30, 40};  // DEBUG, INFO, WARNING, ERROR
    logger.attr("log")(kPython[static_cast<size_t>(level)], "%s", to_str(line));
  }
}

}  // namespace miao::python
