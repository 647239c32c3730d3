// The AVX-512 VNNI table of the int8 product with one scale a row.
#include "kernels/generic/vec16_avx512.h"
//
#include "kernels/avx512/int8_product.h"
#include "kernels/generic/row_codes.inl"
#include "kernels/tables.h"

namespace miao::kernels {
namespace avx512 {

static void run_int8(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                     void* scratch) {
  run_int8_add(packed, cols, blocks, in, {}, y, ldy, scratch);
}

}  // namespace avx512

void fill_int8_avx512(Kernels& table) {
  avx512::fill_row_codes(table);
  table.int8.gemv = table.int8.gemm = "int8.avx512.vnni";
  table.int8.run = avx512::run_int8;
  table.int8.run_add = avx512::run_int8_add;
}

}  // namespace miao::kernels
