// The level nearest to a value, sixteen at a time, for evenly spaced levels and for tables. Searches are templates on
// these.
#pragma once

#include <cstdint>

#include "compress/rounding/family.h"
#include "compress/rounding/lanes.h"
#include "compress/rounding/pack.h"
#include "tensor/formats/iq4_nl.h"

namespace miao::compress {
inline namespace MIAO_LANES {

struct UniformLevels {  // the integers lo..hi
  float lo, hi;
  template <class T>
  T operator()(T y) const {
    return round_even(lesser(greater(y, splat<T>(lo)), splat<T>(hi)));
  }
  Vec code(Vec y) const { return (*this)(y); }
};

template <int n>
struct TableLevels {  // ascending
  float lo, hi;
  float edge[n - 1], step[n - 1];  // from level i to i + 1: where, and by how much

  constexpr explicit TableLevels(const int8_t (&table)[n]) : lo(table[0]), hi(table[n - 1]), edge(), step() {
    for (int i = 0; i + 1 < n; ++i) {
      edge[i] = 0.5f * static_cast<float>(table[i] + table[i + 1]);
      step[i] = static_cast<float>(table[i + 1] - table[i]);
    }
  }
  template <class T>
  T operator()(T y) const {
    T level = splat<T>(lo);
    for (int i = 0; i + 1 < n; ++i) level = level + step_at(y, splat<T>(edge[i]), splat<T>(step[i]));
    return level;
  }
  Vec code(Vec y) const {
    Vec index = splat(0);
    for (int i = 0; i + 1 < n; ++i) index = index + step_at(y, splat(edge[i]), splat(1));
    return index;
  }
};

inline constexpr TableLevels<16> kIq4Levels(kIq4Values);
inline constexpr TableLevels<15> kMxfp4Levels(kMxfp4Ascending);

// Calls use(levels) with the levels of a format.
template <class Use>
static inline auto with_levels(const Family& f, Use use) {
  if (f.dtype == DType::mxfp4) return use(kMxfp4Levels);
  if (f.table) return use(kIq4Levels);
  return use(UniformLevels{static_cast<float>(f.lo), static_cast<float>(f.hi)});
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
