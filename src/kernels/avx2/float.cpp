// Products of the float weight formats of this instruction set.
#include "kernels/generic/vec16_avx2.h"
//
#include "kernels/generic/float_product.inl"
