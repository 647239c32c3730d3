// The vector functions of this instruction set.
#include "kernels/generic/vec16_scalar.h"
//
#include "kernels/generic/vector.inl"
#include "kernels/tables.h"

namespace miao::kernels {

void fill_vector_scalar(Kernels& table) {
  scalar::fill_vector(table);
  scalar::fill_attention(table);
  scalar::fill_attention_codes(table);
  scalar::fill_float(table);
  scalar::fill_parts(table);
}

}  // namespace miao::kernels
