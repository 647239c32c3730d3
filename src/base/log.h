// Diagnostics on stderr. Data never goes through here; verbs print data on stdout.
#pragma once

#include <string_view>

namespace miao {

enum class LogLevel { debug, info, warn, error, off };
void set_log_level(LogLevel level);
void log(LogLevel level, std::string_view line);
inline void log_debug(std::string_view line) { log(LogLevel::debug, line); }
inline void log_info(std::string_view line) { log(LogLevel::info, line); }
inline void log_warn(std::string_view line) { log(LogLevel::warn, line); }

}  // namespace miao
