// Four floats at once, written so that g++ and clang make the same bits of it for every processor: element-wise IEEE
// operations without contraction, and one fixed tree for the sum of the lanes.
#pragma once

#include <cstring>

namespace miao::compress {

using F4 = float __attribute__((vector_size(16)));

static inline F4 load4(const float* from) {
  F4 out;
  std::memcpy(&out, from, sizeof(out));
  return out;
}
static inline F4 splat(float v) { return F4{v, v, v, v}; }
static inline F4 min4(F4 a, F4 b) { return a < b ? a : b; }
static inline F4 max4(F4 a, F4 b) { return a > b ? a : b; }
static inline F4 abs4(F4 a) { return max4(a, -a); }
static inline float sum4(F4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// To the nearest integer, ties to even; |v| below 2^22.
static inline F4 round4(F4 v) {
  const F4 magic = splat(12582912.0f);  // 1.5 * 2^23
  return (v + magic) - magic;
}
static inline float round_even(float v) { return (v + 12582912.0f) - 12582912.0f; }

// Never infinite: values that such a scale could meet are zero or rounded to the last level anyway.
static inline float reciprocal(float scale) {
  constexpr float kLargest = 3.0e38f, kSmallest = 1 / kLargest;
  if (scale == 0) return 0;
  if (scale < kSmallest && scale > -kSmallest) return scale < 0 ? -kLargest : kLargest;
  return 1 / scale;
}

}  // namespace miao::compress
