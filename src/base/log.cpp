// Log lines through spdlog: coloured where stderr is a terminal, no time stamps below debug level.
#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace miao {

namespace {

spdlog::logger& logger() {
  static const auto instance = [] {
    auto out = spdlog::stderr_color_mt("miao");
    out->set_pattern("miao: %^%l%$: %v");
    out->set_level(spdlog::level::warn);
    return out;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  constexpr spdlog::level::level_enum kMap[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                spdlog::level::err, spdlog::level::off};
  return kMap[static_cast<int>(level)];
}

LogSink other_sink = nullptr;

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(spdlog_level(level)); }

void set_log_sink(LogSink sink) { other_sink = sink; }

void log(LogLevel level, std::string_view line) {
  if (!other_sink) return logger().log(spdlog_level(level), "{}", line);
  if (logger().should_log(spdlog_level(level))) other_sink(level, line);
}

}  // namespace miao
