// The body of a file that compiles the search for one instruction set: SEARCH_SCALES is the name of its function.
#include "compress/rounding/one_level.h"
#include "compress/rounding/search.h"
#include "compress/rounding/two_levels.h"

namespace miao::compress {

Scales SEARCH_SCALES(const Family& f, bool importance, const float* x, const float* w) {
  if (two_levels(f)) return search_two_levels(f, importance, x, w);
  const Group g = make_group(x, w, f.block);
  if (f.stored == Stored::power_of_two) return search_exponent(f, g);
  const UniformLevels uniform = {static_cast<float>(f.lo), static_cast<float>(f.hi)};
  const Search search = search_of(f, importance);
  if (f.table) return search_one_level(search, kIq4Levels, g);
  return f.offset ? search_one_level_with_offset(search, uniform, g) : search_one_level(search, uniform, g);
}

}  // namespace miao::compress
