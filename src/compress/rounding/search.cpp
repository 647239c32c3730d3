#include "compress/rounding/search.h"

#include <algorithm>
#include <cmath>

#include "base/cpu.h"

namespace miao::compress {

namespace {

SearchScales choose(const CpuFeatures& cpu) {
  return cpu.avx2 ? search_scales_avx2 : search_scales_generic;
}

// MXFP4: exponents near that for which the largest value is at most one and a third times the highest level. There are no
// scales between, so nothing is left to improve.
Scales search_exponent(const Family& f, const float* x, const float* w) {
  float largest = 0;
  for (int i = 0; i < f.block; ++i) largest = std::max(largest, std::fabs(x[i]));
  Scales best;
  if (largest == 0) return best;
  const int first = std::ilogb(largest) - 2 + 127;
  float least = 0;
  for (const int by : {0, 1, -1, -2}) {
    Scales next;
    next.d = static_cast<uint16_t>(std::clamp(first + by, 0, 254));
    decode_scales(f, next);
    const float error = block_error(f, next, x, w);
    if (by == 0 || error < least) {
      least = error;
      best = next;
    }
  }
  return best;
}

}  // namespace

Scales search_scales(const Family& f, bool importance, const float* x, const float* w) {
  static const SearchScales search = choose(cpu_features());
  Scales out = f.stored == Stored::power_of_two ? search_exponent(f, x, w) : search(f, importance, x, w);
  decode_scales(f, out);
  return out;
}

float block_error(const Family& f, const Scales& scales, const float* x, const float* w) {
  int8_t codes[kMaxBlock];
  nearest_codes(f, scales, x, codes);
  float total = 0;
  for (int i = 0; i < f.block; ++i) {
    const float difference = x[i] - code_value(f, scales, i / f.group, codes[i]);
    total += w[i] * difference * difference;
  }
  return total;
}

}  // namespace miao::compress
