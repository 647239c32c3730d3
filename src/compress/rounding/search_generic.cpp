// The search compiled for the baseline of the processor; see lanes.h.
#define SEARCH_SCALES search_scales_generic
#include "compress/rounding/search.inl"
