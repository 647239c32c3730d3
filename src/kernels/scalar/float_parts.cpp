// Products by parts of this instruction set.
#include "kernels/generic/vec16_scalar.h"
//
#include "kernels/generic/float_parts.inl"
