// Rounding without a search: scales from the largest values of a group. For formats of one level the bytes are those of
// llama.cpp's reference encoders, which take codes from the scale before it is rounded to F16.
#pragma once

#include "compress/rounding/family.h"

namespace miao::compress {

// Scales and codes of the block at x.
void encode_plain(const Family& f, const float* x, Scales& scales, int8_t* codes);

}  // namespace miao::compress
