// The AVX-512 VNNI table of the int8 product with one scale a row.
#include "kernels/generic/vec16_avx512.h"
//
#include "kernels/avx512/int8_product.h"
#include "kernels/generic/row_codes.inl"
#include "kernels/tables.h"

namespace miao::kernels {

void fill_int8_avx512(Kernels& table) {
  avx512::fill_row_codes(table);
  for (MatMul& m : table.int8) {
    m.gemv = m.gemm = "int8.avx512.vnni";
    m.run = avx512::run_int8;
  }
}

}  // namespace miao::kernels
