// Time is the CPU time of the calling thread: a busy machine must not fail a good template.
#include "prep/jinja/budget.h"

#include <time.h>

#include <algorithm>
#include <string>

namespace miao::prep::jinja {

namespace {

constexpr int64_t kStepsPerLook = 1024;
constexpr size_t kBytesPerStep = 32;

double cpu_now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

Error over(std::string what) { return Error{Code::invalid, "template exceeds its budget of " + std::move(what), ""}; }

}  // namespace

Budget::Budget(int64_t steps, size_t text_bytes, size_t items, double cpu_seconds)
    : steps_(steps),
      left_(steps),
      next_look_(std::max<int64_t>(steps - kStepsPerLook, 0)),
      text_bytes_(text_bytes),
      items_(items),
      cpu_seconds_(cpu_seconds),
      start_(cpu_now()) {}

Result<void> Budget::look() {
  if (left_ < 0) return over(std::to_string(steps_) + " steps");
  next_look_ = std::max<int64_t>(left_ - kStepsPerLook, 0);
  if (cpu_now() - start_ > cpu_seconds_) {
    return over(std::to_string(static_cast<int64_t>(cpu_seconds_ * 1000)) + " ms of CPU time");
  }
  return {};
}

Result<void> Budget::fits(size_t bytes) const {
  if (bytes > text_bytes_) return over(std::to_string(text_bytes_) + " bytes for one string or the output");
  return {};
}

Result<void> Budget::text(size_t bytes) {
  MIAO_CHECK_OK(fits(bytes));
  return spend(static_cast<int64_t>(bytes / kBytesPerStep) + 1);
}

Result<void> Budget::fits_list(size_t count) const {
  if (count > items_) return over(std::to_string(items_) + " items for one list");
  return {};
}

Result<void> Budget::items(size_t count) {
  MIAO_CHECK_OK(fits_list(count));
  return spend(static_cast<int64_t>(count));
}

}  // namespace miao::prep::jinja
