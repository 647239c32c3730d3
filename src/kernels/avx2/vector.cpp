// The vector functions of this instruction set.
#include "kernels/generic/vec16_avx2.h"
//
#include "kernels/generic/vector.inl"
#include "kernels/tables.h"

namespace miao::kernels {

void fill_vector_avx2(Kernels& table) {
  avx2::fill_vector(table);
  avx2::fill_attention(table);
  avx2::fill_attention_codes(table);
  avx2::fill_float(table);
  avx2::fill_parts(table);
}

}  // namespace miao::kernels
