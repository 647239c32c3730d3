// The one place that throws.
#include "base/check.h"

#include <string>

namespace miao {

void bug(const char* expression, const char* file, int line) {
  throw Bug(std::string("bug in miao, please report: ") + expression + " at " + file + ":" + std::to_string(line));
}

}  // namespace miao
