#include "compress/rounding/search.h"

#include "base/cpu.h"

namespace miao::compress {

namespace {

SearchScales choose(const CpuFeatures& cpu) { return cpu.avx2 ? search_scales_avx2 : search_scales_generic; }

}  // namespace

Scales search_scales(const Family& f, bool importance, const float* x, const float* w) {
  static const SearchScales search = choose(cpu_features());
  Scales out = search(f, importance, x, w);
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
