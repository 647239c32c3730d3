// The search for the scales of a super-block: d (and dmin) of the block, small integer codes of each group; search.h has
// the outline.
#pragma once

#include "compress/rounding/family.h"

namespace miao::compress {

Scales search_two_levels(const Family& f, const float* x, const float* w);

}  // namespace miao::compress
