// Sums of outer products on the FP32 kernels: same bits on every instruction set and for any threads.
#pragma once

#include <cstdint>

#include "graph/context.h"

namespace miao::compress {

// out[i * ld + j] += sign * sum over t < n of x[i * ldx + t] * x[j * ldx + t], for j <= i < cols (and some j > i).
void add_gram(const graph::Context& context, const float* x, int64_t ldx, int64_t cols, int64_t n, float sign,
              float* out, int64_t ld);

// out[r * ldo + j] += sum over t < n of a[r * lda + t] * b[j * ldb + t], r < rows, j < cols.
void add_product(const graph::Context& context, const float* a, int64_t lda, int64_t rows, const float* b, int64_t ldb,
                 int64_t cols, int64_t n, float* out, int64_t ldo);

}  // namespace miao::compress
