// The scales of one block, searched for: phase one of encoding. Phase two, the codes, is nearest_codes() - or a sweep
// that compensates errors as it goes - and phase three Family::pack.
//
//   one level    the best fits of the group, each brought to the scales that the file can hold and improved there
//   two levels   fits of all groups; their scales are then fitted like values, weighted with what a change of them
//   costs;
//                from the best few d (and dmin), by turns: the codes of scales and offsets, one step up or down; d and
//                dmin by least squares over the whole block; until the error stays
//
// Errors are always those with the scales as stored, and only what lowers them is kept. What llama.cpp's encoders
// choose (Shortlist::reference, SuperBlock::coded) is among the starts, and so is what rounding without a search gives.
#pragma once

#include "compress/rounding/family.h"

namespace miao::compress {

// x and w: values and weights (weights.h) of the block. Whether the weights come from importance decides nothing but
// which grids of llama.cpp are gone through.
Scales search_scales(const Family& f, bool importance, const float* x, const float* w);

// The same for one instruction set, before decode_scales(). All give the same bits.
using SearchScales = Scales (*)(const Family&, bool, const float*, const float*);
Scales search_scales_generic(const Family& f, bool importance, const float* x, const float* w);
Scales search_scales_avx2(const Family& f, bool importance, const float* x, const float* w);

// Sum of w (x - value)^2 of a block with the nearest codes, for tests and for choosing between scales.
float block_error(const Family& f, const Scales& scales, const float* x, const float* w);

}  // namespace miao::compress
