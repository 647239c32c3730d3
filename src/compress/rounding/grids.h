// Which scales the search tries, per format: llama.cpp's grids, which differ with and without importance, and some
// more.
#pragma once

#include "compress/rounding/family.h"
#include "compress/rounding/fit.h"

namespace miao::compress {
inline namespace MIAO_LANES {

static inline Search search_of(const Family& f, bool importance) {
  const bool coded = two_levels(f);
  Search out = {
      {-0.9f, 0.1f, 19}, {-0.9f, 0.2f, 10}, 0, false, coded ? Snap::none : Snap::f16, f.hi < 15 ? f.hi : 15, false, 3};
  if (f.offset) {
    out.grid = {-0.9f, 0.05f, 37};
    if (!importance && f.dtype == DType::q4_k) out.grid = {-1, 0.1f, 21};
    if (!importance && (f.dtype == DType::q5_k || f.dtype == DType::q2_k)) out.grid = {-0.5f, 0.1f, 16};
    out.more = {-1, 0.2f, 11};
    out.offset_below = coded;
    if (coded) out.lattice = 0;
  } else if (f.table) {  // levels are in units of 1/127
    out.grid = {-7, 1, 15};
    out.more = {-14, 1, 29};
    out.margin = 7;
    out.opposite = true;
    out.lattice = 15;
  } else if (f.lo == -f.hi) {  // Q8_0: both ends are the same
    out.grid = {-4.5f, 0.5f, 19};
    out.more = {0, 0, 0};
  } else if (f.dtype == DType::q6_k) {  // so many codes that little is left to gain
    out.more = {-0.9f, 0.3f, 7};
    out.lattice = 0;
    out.keep = 1;
  }
  return out;
}

// Whether llama.cpp fits the codes of scales to their numbers, or lets the largest have the last code.
static inline bool fits_codes(const Family& f, bool importance) {
  return importance && (f.offset || f.dtype == DType::q3_k);
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
