// The AVX-512 VNNI table of quantised products: GEMV for one activation row, register-tiled GEMM for more.
#include "kernels/avx512/quant_gemm.h"
#include "kernels/tables.h"

namespace miao::kernels {
namespace avx512 {

template <DType D>
static void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                void* scratch) {
  const auto* block = static_cast<const uint8_t*>(packed);
  if (in.rows == 1) {
    gemv<D>(block, cols, blocks, in.codes, y);
  } else {
    gemm<D>(block, cols, blocks, in, y, ldy, scratch);
  }
}

}  // namespace avx512

void fill_matmul_avx512(Kernels& table) {
#define MIAO_FILL(name)                                         \
  {                                                             \
    MatMul& m = table.matmul[static_cast<size_t>(DType::name)]; \
    m.gemv = #name ".avx512.gemv";                              \
    m.gemm = #name ".avx512.vnni";                              \
    m.run = avx512::run<DType::name>;                           \
    m.scratch_bytes = avx512::gemm_scratch;                     \
  }
  MIAO_QUANT_FORMATS(MIAO_FILL)
#undef MIAO_FILL
}

}  // namespace miao::kernels
