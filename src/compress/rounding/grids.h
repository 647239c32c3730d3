// Which scales the search tries, per format.
#pragma once

#include "compress/rounding/family.h"
#include "compress/rounding/fit.h"

namespace miao::compress {
inline namespace MIAO_LANES {

static inline Search search_of(const Family& f) {
  const bool coded = two_levels(f);
  Search out = {{-0.9f, 0.1f, 19}, {-0.9f, 0.2f, 10}, coded ? Snap::none : Snap::f16, f.hi < 15 ? f.hi : 15, false, 3};
  if (f.offset) {
    out.high = {-1, 0.1f, 21};
    out.offset_below = coded;
    if (coded) out.lattice = 0;
  } else if (f.table) {  // levels are in units of 1/127
    out.low = {-14, 1, 29};
    out.high = {-14, 1, 29};
    out.lattice = 15;
  } else if (f.lo == -f.hi) {  // Q8_0: both ends are the same, and so many codes that little is left to gain
    out.low = {-4, 1, 9};
    out.high = {0, 0, 0};
    out.keep = 1;
  } else if (f.dtype == DType::q6_k) {  // likewise
    out.low = {-0.9f, 0.2f, 10};
    out.high = {-0.9f, 0.3f, 7};
    out.lattice = 0;
    out.keep = 1;
  }
  return out;
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
