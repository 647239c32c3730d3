// The only place that reads environment variables. docs/environment.md lists each one.
#pragma once

#include <optional>
#include <string>

namespace miao {

std::optional<std::string> env(const char* name);  // unset and empty are the same: no value

}  // namespace miao
