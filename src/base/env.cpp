// Reads through getenv, and nothing else in the tree does.
#include "base/env.h"

#include <cstdlib>

namespace miao {

std::optional<std::string> env(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return std::string(value);
}

}  // namespace miao
