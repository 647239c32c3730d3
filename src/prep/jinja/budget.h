// What one render may use. Every loop over data or nodes pays here first, so that work and memory are bounded whatever
// the template says: one step a node or item, one step for 32 bytes of text made or read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace miao::prep::jinja {

constexpr int kMaxDepth = 128;          // nesting of template source, of values, and of macro calls
constexpr int kMaxEvaluation = 1000;    // nodes open at once over all macro calls (about 1 KiB of stack each)
constexpr size_t kMaxSource = 1 << 20;  // bytes of template
constexpr size_t kMaxNodes = 100'000;   // of a parsed template
constexpr size_t kMaxNames = 4096;      // variables of a template, attributes of a namespace: both are scanned
constexpr size_t kMaxParameters = 256;  // of a macro

class Budget {
 public:
  Budget(int64_t steps, size_t text_bytes, size_t items, double cpu_seconds);

  Result<void> spend(int64_t steps) {
    left_ -= steps;
    if (left_ >= next_look_) [[likely]]
      return {};
    return look();
  }
  // Before making or reading this much text.
  Result<void> text(size_t bytes);
  // A string that grows piece by piece: checks the size only; the pieces pay through text().
  Result<void> fits(size_t bytes) const;
  Result<void> fits_list(size_t count) const;
  // Before making or walking a list of this size.
  Result<void> items(size_t count);

  // Nesting of macro calls and of nodes being evaluated.
  int macro_depth = 0;
  int node_depth = 0;

 private:
  Result<void> look();

  int64_t steps_;
  int64_t left_;
  int64_t next_look_;  // the clock is read when `left_` falls below this
  size_t text_bytes_;
  size_t items_;
  double cpu_seconds_;
  double start_;
};

}  // namespace miao::prep::jinja
