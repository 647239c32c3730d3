// The search compiled for AVX2; see lanes.h.
#define SEARCH_SCALES search_scales_avx2
#include "compress/rounding/search.inl"
