// The parts of one table of vector functions, each filled by its own file of the ISA folder. Include a vec16 header
// first: it names the ISA.
#pragma once

#include "kernels/table.h"

// Loops over register blocks must become straight code, or the blocks live in memory.
#ifdef __clang__
#define MIAO_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MIAO_UNROLL _Pragma("GCC unroll 16")
#endif

// Inlined into their callers, loops that fill the register file spill it: a product tile then ran at 58% of the peak
// instead of 75%.
#define MIAO_NOINLINE __attribute__((noinline))
#define MIAO_INLINE inline __attribute__((always_inline))

namespace miao::kernels::MIAO_ISA {

void fill_vector(Kernels& table);           // vector.inl
void fill_attention(Kernels& table);        // attention.inl
void fill_attention_codes(Kernels& table);  // attention_codes.inl
void fill_float(Kernels& table);            // float_product.inl
void fill_parts(Kernels& table);            // float_parts.inl
void fill_row_codes(Kernels& table);        // row_codes.inl

}  // namespace miao::kernels::MIAO_ISA
