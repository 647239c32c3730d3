// The search for the scale (and offset) of a block that is one group; search.h has the outline.
#pragma once

#include "compress/rounding/fit.h"
#include "compress/rounding/grids.h"
#include "compress/rounding/levels.h"

namespace miao::compress {
inline namespace MIAO_LANES {

// Next F16 number up or down in magnitude; 0 has only one neighbour.
static inline uint16_t f16_step(uint16_t bits, int by) {
  const int next = lesser(greater((bits & 0x7fff) + by, 0), 0x7bff);
  return static_cast<uint16_t>((bits & 0x8000) | next);
}

// The block with the least error as stored, of those near a fit.
template <bool with_offset, class Levels>
static void settle(const Levels& levels, const Group& g, const Search& search, Fit start, Fit& best) {
  Fit at = {snap_f16(start.scale), snap_f16(start.offset), 0};
  for (int turn = 0; turn < 4; ++turn) {
    const Sums m = measure<with_offset>(levels, g, at.scale, at.offset);
    if (turn > 0 && !(m.error < at.error)) break;
    at.error = m.error;
    if (at.error < best.error) best = at;
    const Fit next = refit<with_offset>(m, g, at, search);
    if (next.scale == at.scale && next.offset == at.offset) break;
    at = {next.scale, next.offset, at.error};
  }
}

// F16 neighbours of the best scales, while they help.
template <bool with_offset, class Levels>
static void climb(const Levels& levels, const Group& g, Fit& best) {
  for (const int by : {-1, 1}) {
    for (int step = 0; step < 3; ++step) {
      const float scale = f16_to_f32(f16_step(f32_to_f16(best.scale), by));
      Sums m = measure<with_offset>(levels, g, scale, best.offset);
      float offset = best.offset;
      if (with_offset && g.weight > 0) {
        offset = snap_f16(offset + m.r / g.weight);
        m = measure<with_offset>(levels, g, scale, offset);
      }
      if (!(m.error < best.error)) break;
      best = {scale, offset, m.error};
    }
  }
}

template <class Levels>
static Scales search_one_level(const Search& search, const Levels& levels, const Group& g) {
  const Shortlist list = search_scale(levels, g, search);
  Fit best = {0, 0, g.energy};
  for (int i = 0; i < list.count; ++i) settle<false>(levels, g, search, list.fits[i], best);
  settle<false>(levels, g, search, list.reference, best);
  climb<false>(levels, g, best);
  Scales out;
  out.d = f32_to_f16(best.scale);
  return out;
}

static Scales search_one_level_with_offset(const Search& search, const UniformLevels& levels, const Group& g) {
  const Shortlist list = search_line(levels, g, search);
  Fit best = {0, snap_f16(g.weight > 0 ? g.sum / g.weight : 0), 0};
  best.error = measure<true>(levels, g, best.scale, best.offset).error;
  settle<true>(levels, g, search, list.reference, best);
  for (int i = 0; i < list.count; ++i) {
    Fit fit = list.fits[i];
    settle<true>(levels, g, search, fit, best);
    move_ends(levels, g, search, fit);
    settle<true>(levels, g, search, fit, best);
  }
  climb<true>(levels, g, best);
  Scales out;
  out.d = f32_to_f16(best.scale);
  out.dmin = f32_to_f16(best.offset);
  return out;
}

// MXFP4: exponents near that for which the largest value is at most one and a third times the highest level. There are
// no scales between, so nothing is left to improve.
static Scales search_exponent(const Family& f, const Group& g) {
  Scales best;
  const float largest = greater(g.high, -g.low);
  if (largest == 0) return best;
  const int first = __builtin_ilogbf(largest) - 2 + 127;
  float least = 0;
  for (const int by : {0, 1, -1, -2}) {
    Scales next;
    next.d = static_cast<uint16_t>(lesser(greater(first + by, 0), 254));
    decode_scales(f, next);
    const float error = measure<false>(kMxfp4Levels, g, next.scale[0]).error;
    if (by != 0 && !(error < least)) continue;
    least = error;
    best = next;
  }
  return best;
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
