// Attention to coded pages of this instruction set.
#include "kernels/generic/vec16_scalar.h"
//
#include "kernels/generic/attention_codes.inl"
