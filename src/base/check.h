// MIAO_CHECK: a programmer's error (never reachable from input). Throws Bug; the request dies, the process lives.
#pragma once

#include <stdexcept>

namespace miao {

class Bug : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void bug(const char* expression, const char* file, int line);

#define MIAO_CHECK(cond)                      \
  do {                                        \
    if (!(cond)) [[unlikely]]                 \
      ::miao::bug(#cond, __FILE__, __LINE__); \
  } while (0)
#ifdef NDEBUG
#define MIAO_DCHECK(cond) ((void)0)
#else
#define MIAO_DCHECK(cond) MIAO_CHECK(cond)
#endif

}  // namespace miao
