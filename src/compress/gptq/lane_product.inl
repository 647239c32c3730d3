// The body of a file that compiles the product for one instruction set: SUBTRACT_PRODUCT is the name of its function.
#include "compress/gptq/lane_product.h"
#include "compress/rounding/lanes.h"

namespace miao::compress {
inline namespace MIAO_LANES {

// kWide results at a time stay in registers.
template <int kWide>
static inline void columns(const float* h, int64_t ld, int64_t n, const Lanes* d, Lanes* p) {
  Vec sum[kWide];
  for (int j = 0; j < kWide; ++j) load(sum[j], p[j]);
  for (int64_t k = 0; k < n; ++k) {
    const Vec own = load(d[k]);
    for (int j = 0; j < kWide; ++j) sum[j] = sum[j] - splat(h[k * ld + j]) * own;
  }
  for (int j = 0; j < kWide; ++j) {
    store(p[j], sum[j].low);
    store(p[j] + kGptqLanes / 2, sum[j].high);
  }
}

}  // namespace MIAO_LANES

void SUBTRACT_PRODUCT(const float* h, int64_t ld, int64_t n, const Lanes* d, int64_t m, Lanes* p) {
  int64_t j = 0;
  for (; j + 4 <= m; j += 4) columns<4>(h + j, ld, n, d, p + j);
  for (; j < m; ++j) columns<1>(h + j, ld, n, d, p + j);
}

}  // namespace miao::compress
