#include "compress/gptq/lane_product.h"

#include "base/cpu.h"

namespace miao::compress {

void subtract_product(const float* h, int64_t ld, int64_t n, const Lanes* d, int64_t m, Lanes* p) {
  static const SubtractProduct chosen = cpu_features().avx2 ? subtract_product_avx2 : subtract_product_generic;
  chosen(h, ld, n, d, m, p);
}

}  // namespace miao::compress
