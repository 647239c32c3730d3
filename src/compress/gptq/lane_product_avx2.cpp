// The product compiled for AVX2; see rounding/lanes.h.
#define SUBTRACT_PRODUCT subtract_product_avx2
#include "compress/gptq/lane_product.inl"
