// The search compiled for AVX-512; see lanes.h.
#define SEARCH_SCALES search_scales_avx512
#include "compress/rounding/search.inl"
