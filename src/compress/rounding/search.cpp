#include "compress/rounding/search.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "compress/rounding/fit.h"
#include "compress/rounding/levels.h"
#include "compress/rounding/two_levels.h"

namespace miao::compress {

namespace {

// Next F16 number up or down in magnitude; 0 has only one neighbour.
uint16_t f16_step(uint16_t bits, int by) {
  const int magnitude = std::clamp((bits & 0x7fff) + by, 0, 0x7bff);
  return static_cast<uint16_t>((bits & 0x8000) | magnitude);
}

// The block with the least error as stored, of those near a fit.
template <bool with_offset, class Levels>
void settle(const Levels& levels, const Group& g, const Search& search, Fit start, Fit& best) {
  Fit at = {snap_f16(start.scale), snap_f16(start.offset), 0};
  for (int turn = 0; turn < 4; ++turn) {
    const Sums m = measure<with_offset>(levels, g, at.scale, at.offset);
    if (turn > 0 && !(m.error < at.error)) break;
    at.error = m.error;
    if (at.error < best.error) best = at;
    const Fit next = with_offset ? refit_line(m, g, at, search) : refit_scale(m, at.scale, Snap::f16);
    if (next.scale == at.scale && next.offset == at.offset) break;
    at = {next.scale, next.offset, at.error};
  }
}

// F16 neighbours of the best scales, while they help.
template <bool with_offset, class Levels>
void climb(const Levels& levels, const Group& g, Fit& best) {
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
Scales one_level(const Family& f, const Levels& levels, const Group& g) {
  Search search = {f.grid_step, f.grid_count, Snap::f16, std::min(15, static_cast<int>(levels.hi)), false};
  Fit best = {0, 0, g.energy};
  if constexpr (std::is_same_v<Levels, UniformLevels>) {
    if (f.offset) {
      const Shortlist list = search_line(levels, g, search);
      best = {0, snap_f16(g.weight > 0 ? g.sum / g.weight : 0), 0};
      best.error = measure<true>(levels, g, best.scale, best.offset).error;
      for (int i = 0; i < list.count; ++i) {
        Fit fit = list.fits[i];
        if (i == 0) move_ends(levels, g, search, fit);
        settle<true>(levels, g, search, list.fits[i], best);
        if (i == 0) settle<true>(levels, g, search, fit, best);
      }
      climb<true>(levels, g, best);
    }
  }
  if (!f.offset) {
    const Shortlist list = search_scale(levels, g, search);
    for (int i = 0; i < list.count; ++i) settle<false>(levels, g, search, list.fits[i], best);
    climb<false>(levels, g, best);
  }
  Scales out;
  out.d = f32_to_f16(best.scale);
  out.dmin = f32_to_f16(best.offset);
  return out;
}

// Exponents around the one for which the largest value is at most one and a half times the highest level.
Scales power_of_two(const Family& f, const Group& g) {
  Scales best;
  const float largest = std::max(g.high, -g.low);
  if (largest == 0) return best;
  const int first = std::ilogb(largest) - 2 + 127;
  float least = 0;
  for (const int by : {0, 1, -1, -2}) {
    Scales next;
    next.d = static_cast<uint16_t>(std::clamp(first + by, 0, 254));
    decode_scales(f, next);
    const float error = measure<false>(kMxfp4Levels, g, next.scale[0]).error;
    if (by == 0 || error < least) {
      least = error;
      best = next;
    }
  }
  return best;
}

}  // namespace

Scales search_scales(const Family& f, const float* x, const float* w) {
  Scales out;
  if (f.two_levels()) {
    out = search_two_levels(f, x, w);
  } else {
    const Group g = make_group(x, w, f.block);
    out = f.stored == Stored::power_of_two ? power_of_two(f, g)
          : f.table                        ? one_level(f, kIq4Levels, g)
                                           : one_level(f, UniformLevels{static_cast<float>(f.lo), static_cast<float>(f.hi)}, g);
  }
  decode_scales(f, out);
  return out;
}

float block_error(const Family& f, const Scales& scales, const float* x, const float* w) {
  return with_levels(f, [&](const auto& levels) {
    float sum = 0;
    for (int i = 0; i < f.groups(); ++i) {
      const Group g = {x + i * f.group, w + i * f.group, f.group, 0, 0, 0, 0, 0};
      sum += measure<true>(levels, g, scales.scale[i], scales.offset[i]).error;
    }
    return sum;
  });
}

}  // namespace miao::compress
