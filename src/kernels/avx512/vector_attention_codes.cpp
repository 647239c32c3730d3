// Attention to coded pages of this instruction set.
#include "kernels/generic/vec16_avx512.h"
//
#include "kernels/generic/attention_codes.inl"
