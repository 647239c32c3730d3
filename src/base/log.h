// Diagnostics on stderr. Data never goes through here; verbs print data on stdout.
#pragma once

#include <string_view>

namespace miao {

enum class LogLevel { debug, info, warn, error, off };
void set_log_level(LogLevel level);
// Lines of the set level and above go to `sink` instead, from any thread. Set before there are others; null = stderr.
using LogSink = void (*)(LogLevel level, std::string_view line);
void set_log_sink(LogSink sink);
void log(LogLevel level, std::string_view line);
inline void log_debug(std::string_view line) { log(LogLevel::debug, line); }
inline void log_info(std::string_view line) { log(LogLevel::info, line); }
inline void log_warn(std::string_view line) { log(LogLevel::warn, line); }
inline void log_error(std::string_view line) { log(LogLevel::error, line); }  // of a part; the rest goes on

}  // namespace miao
