// The product compiled for the baseline; see rounding/lanes.h.
#define SUBTRACT_PRODUCT subtract_product_generic
#include "compress/gptq/lane_product.inl"
