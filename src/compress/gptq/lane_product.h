// Small products of a matrix that all lanes share with vectors of lanes, the inner loops of GPTQ.
#pragma once

#include <cstdint>

namespace miao::compress {

inline constexpr int64_t kGptqLanes = 16;  // rows side by side
using Lanes = float[kGptqLanes];

// p[j] -= sum over k < n, in this order, of h[k * ld + j] * d[k], for j < m. The same bits on every processor.
void subtract_product(const float* h, int64_t ld, int64_t n, const Lanes* d, int64_t m, Lanes* p);

// The same for one instruction set.
using SubtractProduct = void (*)(const float*, int64_t, int64_t, const Lanes*, int64_t, Lanes*);
void subtract_product_generic(const float* h, int64_t ld, int64_t n, const Lanes* d, int64_t m, Lanes* p);
void subtract_product_avx2(const float* h, int64_t ld, int64_t n, const Lanes* d, int64_t m, Lanes* p);

}  // namespace miao::compress
