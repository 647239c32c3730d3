#include "compress/rounding/search.h"

#include <algorithm>

#include "base/cpu.h"

namespace miao::compress {

namespace {

SearchScales choose(const CpuFeatures& cpu) { return cpu.avx2 ? search_scales_avx2 : search_scales_generic; }

}  // namespace

void search_scales(const Family& f, const float* x, const float* w, const float* theirs, int blocks, Scales* out) {
  static const SearchScales search = choose(cpu_features());
  for (int b = 0; b < blocks; b += kSearchBlocks) {
    const int from = b * f.block, count = std::min(blocks - b, kSearchBlocks);
    search(f, x + from, w + from, theirs ? theirs + from : nullptr, count, out + b);
  }
  for (int b = 0; b < blocks; ++b) decode_scales(f, out[b]);
}

double block_error(const Family& f, Scales scales, const float* x, const float* w) {
  decode_scales(f, scales);
  int8_t codes[kMaxBlock];
  nearest_codes(f, scales, x, codes);
  double total = 0;
  for (int i = 0; i < f.block; ++i) {
    const double difference = static_cast<double>(x[i]) - code_value(f, scales, i / f.group, codes[i]);
    total += w[i] * difference * difference;
  }
  return total;
}

}  // namespace miao::compress
