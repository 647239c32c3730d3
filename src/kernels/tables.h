// The functions each ISA folder exports: they fill their part of a table that starts as a copy of the next lower one.
// Plain declarations only: ISA files include this, <cstdint>, <cstddef> and <immintrin.h>.
#pragma once

#include "kernels/table.h"

namespace miao::kernels {

// generic/vector.inl, compiled per ISA: norms, rope, activations, quantise, attention, float products.
void fill_vector_scalar(Kernels& table);
void fill_vector_avx2(Kernels& table);
void fill_vector_avx512(Kernels& table);
// Products of the quantised formats.
void fill_matmul_scalar(Kernels& table);
void fill_matmul_avx2(Kernels& table);
void fill_matmul_avx512(Kernels& table);
void fill_matmul_amx(Kernels& table);
// Kernels::bf16x3 and split_row; the other tables get them with the vector functions.
void fill_parts_amx(Kernels& table);
// Kernels::int8 and quantize_row.
void fill_int8_scalar(Kernels& table);
void fill_int8_avx2(Kernels& table);
void fill_int8_avx512(Kernels& table);
void fill_int8_amx(Kernels& table);

}  // namespace miao::kernels
