// The body of a file that compiles the search for one instruction set: SEARCH_SCALES is the name of its function.
#include "compress/rounding/one_level.h"
#include "compress/rounding/reference.h"
#include "compress/rounding/search.h"
#include "compress/rounding/two_levels.h"

namespace miao::compress {

void SEARCH_SCALES(const Family& f, const float* x, const float* w, const float* theirs, int blocks, Scales* out) {
  if (!two_levels(f)) return search_one_level(f, x, w, theirs, blocks, out);
  for (int b = 0; b < blocks; ++b) {
    const int at = b * f.block;
    out[b] = search_two_levels(f, x + at, w + at, reference_two_levels(f, x + at, theirs ? theirs + at : nullptr));
  }
}

}  // namespace miao::compress
