// Products of the float weight formats of this instruction set.
#include "kernels/generic/vec16_scalar.h"
//
#include "kernels/generic/float_product.inl"
