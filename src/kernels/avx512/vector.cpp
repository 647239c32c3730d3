// The vector functions of this instruction set.
#include "kernels/generic/vec16_avx512.h"
//
#include "kernels/generic/vector.inl"
#include "kernels/tables.h"

namespace miao::kernels {

void fill_vector_avx512(Kernels& table) {
  avx512::fill_vector(table);
  avx512::fill_attention(table);
  avx512::fill_attention_codes(table);
  avx512::fill_float(table);
  avx512::fill_parts(table);
}

}  // namespace miao::kernels
