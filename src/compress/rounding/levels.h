// The level nearest to a value, four at a time, for evenly spaced levels and for tables. Searches are templates on these.
#pragma once

#include <cstdint>
#include <utility>

#include "compress/rounding/family.h"
#include "compress/rounding/lanes.h"
#include "compress/rounding/pack.h"
#include "tensor/formats/iq4_nl.h"

namespace miao::compress {

struct UniformLevels {  // the integers lo..hi
  float lo, hi;
  F4 operator()(F4 y) const { return round4(min4(max4(y, splat(lo)), splat(hi))); }
  F4 code(F4 y) const { return (*this)(y); }
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
  F4 operator()(F4 y) const {
    F4 level = splat(lo);
    for (int i = 0; i + 1 < n; ++i) level += y >= splat(edge[i]) ? splat(step[i]) : splat(0);
    return level;
  }
  F4 code(F4 y) const {
    F4 index = splat(0);
    for (int i = 0; i + 1 < n; ++i) index += y >= splat(edge[i]) ? splat(1) : splat(0);
    return index;
  }
};

inline constexpr TableLevels<16> kIq4Levels(kIq4Values);
inline constexpr TableLevels<15> kMxfp4Levels(kMxfp4Ascending);

// Calls use(levels) with the levels of a format.
template <class Use>
auto with_levels(const Family& f, Use&& use) {
  if (f.dtype == DType::mxfp4) return use(kMxfp4Levels);
  if (f.table) return use(kIq4Levels);
  return use(UniformLevels{static_cast<float>(f.lo), static_cast<float>(f.hi)});
}

}  // namespace miao::compress
