// Products by parts of this instruction set.
#include "kernels/generic/vec16_avx512.h"
//
#include "kernels/generic/float_parts.inl"
