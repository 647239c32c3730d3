// The scales of blocks, searched for: phase one of encoding. Phase two, the codes, is nearest_codes() - or a sweep
// that compensates errors as it goes - and phase three Family::pack.
//
//   one level    the best fits of the group, each brought to the scales that the file can hold and improved there
//   two levels   fits of all groups; their scales are then fitted like values, weighted with what a change of them
//                costs; from the best few d (and dmin), by turns: the codes of scales and offsets, one step up or down;
//                d and dmin by least squares over the whole block; until the error stays
//
// Errors are always those with the scales as stored, and only what lowers them is kept. The scales that llama.cpp's
// encoder stores (reference.h) are among the starts, and so are those of rounding without a search: no block is worse.
#pragma once

#include "compress/rounding/family.h"

namespace miao::compress {

// x and w: values and weights (weights.h) of consecutive blocks. theirs: weights as llama.cpp has them with importance,
// or null for what it does without.
void search_scales(const Family& f, const float* x, const float* w, const float* theirs, int blocks, Scales* out);

// The same for one instruction set, before decode_scales(), and for at most kSearchBlocks blocks. All give the same
// bits. How often a block is improved depends on the others beside it, so rows are to be cut in the same way.
inline constexpr int kSearchBlocks = 8;
using SearchScales = void (*)(const Family&, const float*, const float*, const float*, int, Scales*);
void search_scales_generic(const Family& f, const float* x, const float* w, const float* theirs, int blocks,
                           Scales* out);
void search_scales_avx2(const Family& f, const float* x, const float* w, const float* theirs, int blocks, Scales* out);

// Sum of w (x - value)^2 of a block with the nearest codes; d, dmin and codes of the scales suffice. For tests, and
// where the search's own measure in float cannot tell two scales apart.
double block_error(const Family& f, Scales scales, const float* x, const float* w);

}  // namespace miao::compress
