// The scale (and offset) with the least weighted squared error for one group of values: the search that all formats
// share, for values and for the scales of a super-block, which are a group of "values" themselves.
//
// With scale and offset fixed, the nearest code of each value is best; with the codes fixed, scale and offset follow
// from weighted least squares. So the error is a function of scale (and offset) alone, with many small dips. The search
// looks into those near the scales that put the largest value at either end of the range (a grid; llama.cpp's is part
// of it), at scales for which the largest value is a small multiple (values that were quantised before), and at scales
// that cut outliers off. The best few are then improved by turns, codes and scales, until the error stays.
//
// One pass gives the error at a scale and the sums for least squares. They are of the residual r = x - value, not of x:
// the error is a small difference of large sums otherwise, and lost in the rounding of float.
#pragma once

#include <cstdint>

#include "compress/rounding/lanes.h"
#include "compress/rounding/levels.h"

namespace miao::compress {
inline namespace MIAO_LANES {

struct Group {
  const float* x;
  const float* w;
  int n;            // a multiple of 16
  float weight;     // sum of w
  float energy;     // sum of w x^2
  float sum;        // sum of w x
  float low, high;  // of x

  float extreme() const { return high >= -low ? high : low; }
};

static inline Group make_group(const float* x, const float* w, int n) {
  Vec weight = splat(0), energy = splat(0), total = splat(0);
  float low = x[0], high = x[0];
  for (int i = 0; i < n; i += 16) {
    const Vec xi = load(x + i), wi = load(w + i), wx = wi * xi;
    weight = weight + wi;
    total = total + wx;
    energy = energy + wx * xi;
  }
  for (int i = 0; i < n; ++i) {
    low = lesser(low, x[i]);
    high = greater(high, x[i]);
  }
  return {x, w, n, sum(weight), sum(energy), sum(total), low, high};
}

// Sums over a group, with the levels q nearest at some scale and offset, and r = x - (scale * q + offset).
struct Sums {
  float error;   // w r^2
  float rq, qq;  // w r q, w q^2
  float r, q;    // w r, w q; of groups with offset only
};

template <bool with_offset, class Levels>
static inline Sums measure(const Levels& levels, const Group& g, float scale, float offset, float inverse_scale) {
  const Vec s = splat(scale), inverse = splat(inverse_scale), o = splat(offset);
  Vec error = splat(0), rq = splat(0), qq = splat(0), r_sum = splat(0), q_sum = splat(0);
  for (int i = 0; i < g.n; i += 16) {
    const Vec x = load(g.x + i), w = load(g.w + i);
    const Vec q = levels((with_offset ? x - o : x) * inverse);
    const Vec r = with_offset ? x - (s * q + o) : x - s * q;
    const Vec wr = w * r, wq = w * q;
    error = error + wr * r;
    rq = rq + wr * q;
    qq = qq + wq * q;
    if (with_offset) {
      r_sum = r_sum + wr;
      q_sum = q_sum + wq;
    }
  }
  const F4 four = sums(error, rq, qq, with_offset ? r_sum : qq);
  return {four[0], four[1], four[2], with_offset ? four[3] : 0, with_offset ? sum(q_sum) : 0};
}

template <bool with_offset, class Levels>
static inline Sums measure(const Levels& levels, const Group& g, float scale, float offset = 0) {
  return measure<with_offset>(levels, g, scale, offset, reciprocal(scale));
}

// Nearest F16 number (but for the choice at ties), clamped to the finite ones.
static inline float snap_f16(float v) {
  if (magnitude(v) < 6.103515625e-5f) return (v + 0.75f) - 0.75f;  // steps of 2^-24
  if (magnitude(v) >= 65504.0f) return v < 0 ? -65504.0f : 65504.0f;
  const float upper = v * 8193.0f;  // Veltkamp: the upper 11 bits
  return upper - (upper - v);
}

struct Fit {
  float scale = 0, offset = 0;
  float error = 0;  // expected, with the codes it was found with
};

// The best few different fits, by error. `reference` is the one that llama.cpp's search would end with, `inverse` what
// it multiplies values by to get their codes; kept, so that what follows can never be worse than what llama.cpp makes
// of it.
struct Shortlist {
  static constexpr int kSize = 3;  // offer() shifts by hand: a loop becomes a call that costs more than a fit
  Fit fits[kSize];
  int count = 0;
  Fit reference;
  float inverse = 0;

  bool wants(float error) const { return count < kSize || error < fits[kSize - 1].error; }
  void offer(const Fit& fit) {
    if (!wants(fit.error)) return;
    int at = count;
    while (at > 0 && fit.error < fits[at - 1].error) --at;
    constexpr float kSame = 1 + 1e-6f;  // the same codes, found from another scale
    if (at >= kSize || (at > 0 && fit.error <= fits[at - 1].error * kSame)) return;
    if (at < count && fits[at].error <= fit.error * kSame) {
      fits[at] = fit;
      return;
    }
    if (count < kSize) ++count;
    if (at <= 1) fits[2] = fits[1];
    if (at == 0) fits[1] = fits[0];
    fits[at] = fit;
  }
};

// How scales will be stored: least squares answers are brought there before they are compared.
enum class Snap : uint8_t { none, f16 };

// Steps first, first + step, ... relative to the end of the range of codes.
struct Grid {
  float first, step;
  int count;
};

struct Search {
  Grid grid;   // without offset: of llama.cpp; with offset: that starts anew at the best offset so far, as llama.cpp's
               // does
  Grid more;   // without offset: for the other end of the range; with offset: from the smallest value
  int margin;  // without offset: steps beyond either end of `grid`
  bool opposite;  // llama.cpp also tries the largest value at the other side of the first level (tables)
  Snap snap;
  int lattice;        // extreme / k is tried for k = 1..lattice
  bool offset_below;  // offsets must not be positive (those of two levels)
  int keep;           // fits that are followed up, 1..Shortlist::kSize
};

static inline float snapped(Snap snap, float v) { return snap == Snap::f16 ? snap_f16(v) : v; }

// The scale that least squares gives for the codes of m, exact.
static inline Fit refit_scale(const Sums& m, float scale) {
  if (!(m.qq > 0)) return {scale, 0, m.error};
  const float change = m.rq / m.qq;
  return {scale + change, 0, greater(m.error - m.rq * change, 0.0f)};
}
// As it will be stored.
static inline Fit stored_scale(const Sums& m, Fit exact, Snap snap) {
  const float scale = snapped(snap, exact.scale), off = scale - exact.scale;
  return {scale, 0, exact.error + m.qq * off * off};
}

// What the error becomes when scale and offset move by ds and doff and the codes stay. In double: where few values
// carry most of the weight, the terms nearly cancel.
static inline float moved_error(const Sums& m, const Group& g, double ds, double doff) {
  const double change = ds * (ds * m.qq + 2 * doff * m.q - 2 * m.rq) + doff * (doff * g.weight - 2 * m.r);
  return static_cast<float>(greater(m.error + change, 0.0));
}

static inline Fit refit_line(const Sums& m, const Group& g, Fit at, bool offset_below) {
  const double qq = m.qq, q = m.q, rq = m.rq, r = m.r, weight = g.weight, determinant = qq * weight - q * q;
  double ds = 0, doff = 0;
  if (determinant > 1e-6 * qq * weight) {
    const double inverse = 1 / determinant;
    ds = (weight * rq - q * r) * inverse;
    doff = (qq * r - q * rq) * inverse;
  } else if (weight > 0) {  // one code for all values
    doff = r / weight;
  }
  if (offset_below && at.offset + doff > 0) {  // the best scale without offset
    doff = -at.offset;
    ds = qq > 0 ? (rq - doff * q) / qq : 0;
  }
  return {static_cast<float>(at.scale + ds), static_cast<float>(at.offset + doff), moved_error(m, g, ds, doff)};
}
// As it will be stored: the offset makes up for the change of the scale. `at`: where m was measured.
static inline Fit stored_line(const Sums& m, const Group& g, Fit at, Fit exact, Snap snap) {
  if (snap == Snap::none) return exact;
  const double scale = snap_f16(exact.scale), follow = g.weight > 0 ? m.q / g.weight * (exact.scale - scale) : 0;
  const double offset = snap_f16(static_cast<float>(exact.offset + follow));
  return {static_cast<float>(scale), static_cast<float>(offset),
          moved_error(m, g, scale - at.scale, offset - at.offset)};
}

template <bool with_offset>
static inline Fit refit(const Sums& m, const Group& g, Fit at, const Search& search) {
  if (with_offset) return stored_line(m, g, at, refit_line(m, g, at, search.offset_below), search.snap);
  return stored_scale(m, refit_scale(m, at.scale), search.snap);
}

// By turns: nearest codes, least squares, until the error stays.
template <bool with_offset, class Levels>
static void improve(const Levels& levels, const Group& g, const Search& search, Fit& fit) {
  for (int turn = 0; turn < 4; ++turn) {
    const Sums m = measure<with_offset>(levels, g, fit.scale, fit.offset);
    const Fit next = refit<with_offset>(m, g, fit, search);
    if (!(next.error < fit.error * (1 - 1e-6f))) return;
    fit = next;
  }
}

// Fits of a group without offset. levels.lo <= 0 <= levels.hi.
template <class Levels>
static Shortlist search_scale(const Levels& levels, const Group& g, const Search& search) {
  Shortlist list;
  list.reference.error = g.energy;
  list.offer(list.reference);
  const float extreme = g.extreme();
  if (extreme == 0) return list;
  // The scale that makes `end` of the largest value.
  const float inverse_extreme = reciprocal(extreme);
  const auto attempt = [&](float end, bool reference) {
    const float scale = extreme / end, inverse = end * inverse_extreme;
    const Sums m = measure<false>(levels, g, scale, 0, inverse);
    const Fit exact = refit_scale(m, scale);
    if (reference && __builtin_expect(exact.error < list.reference.error, 0)) {
      list.reference = exact;
      list.inverse = inverse;
    }
    if (__builtin_expect(list.wants(exact.error), 0)) list.offer(stored_scale(m, exact, search.snap));
  };
  const Grid grid = search.grid, more = search.more;
  for (int i = -search.margin; i < grid.count + search.margin && levels.lo < 0; ++i) {
    attempt(levels.lo - (grid.first + grid.step * static_cast<float>(i)), i >= 0 && i < grid.count);
  }
  for (int i = 0; i < more.count; ++i) attempt(levels.hi + (more.first + more.step * static_cast<float>(i)), false);
  if (search.opposite) attempt(-levels.lo, true);
  for (int k = 1; k <= search.lattice; ++k) {
    // Most of these are far off, which the first values tell.
    const Group head = {g.x, g.w, 16, 0, 0, 0, 0, 0};
    const float end = static_cast<float>(k), scale = snapped(search.snap, extreme / end);
    if (g.n == 16 || measure<false>(levels, head, scale).error < list.fits[0].error) attempt(end, false);
  }
  const float last = -levels.lo > levels.hi ? levels.lo : levels.hi, size = magnitude(extreme);
  const float rms = __builtin_sqrtf(g.energy / g.weight);
  for (const float cut : {2.0f, 2.5f, 3.0f, 3.5f}) {
    if (cut * rms < 0.9f * size) attempt(last * size / (cut * rms), false);
  }
  list.count = lesser(list.count, search.keep);
  // What is brought to F16 is improved there, by settle().
  for (int i = 0; i < list.count && search.snap == Snap::none; ++i) improve<false>(levels, g, search, list.fits[i]);
  return list;
}

// Moves each end of the range of the best fit a little, as long as that helps.
static void move_ends(const UniformLevels& levels, const Group& g, const Search& search, Fit& fit) {
  for (const float move : {0.5f, 0.25f}) {
    for (const int end : {0, 1}) {
      for (const float by : {-move * fit.scale, move * fit.scale}) {
        Fit next = fit;
        if (end == 0) next.offset += by;
        next.scale += (end == 0 ? -by : by) / levels.hi;
        if (search.offset_below && next.offset > 0) continue;
        next = refit<true>(measure<true>(levels, g, next.scale, next.offset), g, next, search);
        if (next.error < fit.error * (1 - 1e-6f)) fit = next;
      }
    }
  }
}

// Fits of a group with offset; levels 0..hi.
static Shortlist search_line(const UniformLevels& levels, const Group& g, const Search& search) {
  Shortlist list;
  const float low = search.offset_below ? lesser(g.low, 0.0f) : g.low, range = g.high - low;
  const float mean = g.weight > 0 ? g.sum / g.weight : 0;
  const auto attempt = [&](float scale, float offset, bool reference) {
    const Fit at = {scale, search.offset_below ? lesser(offset, 0.0f) : offset, 0};
    const Sums m = measure<true>(levels, g, at.scale, at.offset);
    const Fit exact = refit_line(m, g, at, search.offset_below);
    if (reference && __builtin_expect(exact.error < list.reference.error, 0)) list.reference = exact;
    if (__builtin_expect(list.wants(exact.error), 0)) list.offer(stored_line(m, g, at, exact, search.snap));
  };
  list.reference = {0, low, measure<true>(levels, g, 0, low).error};
  if (!(range > 0)) {
    attempt(0, low, false);
    if (g.high > 0) attempt(g.high / levels.hi, 0, false);
    return list;
  }
  const Grid grid = search.grid, more = search.more;
  list.reference = {range / levels.hi, low, measure<true>(levels, g, range / levels.hi, low).error};
  for (int i = 0; i < grid.count && g.high > list.reference.offset; ++i) {
    attempt((g.high - list.reference.offset) / (levels.hi + (grid.first + grid.step * static_cast<float>(i))),
            list.reference.offset, true);
  }
  for (int i = 0; i < more.count; ++i)
    attempt(range / (levels.hi + (more.first + more.step * static_cast<float>(i))), low, false);
  const float deviation = __builtin_sqrtf(greater(g.energy / g.weight - mean * mean, 0.0f));
  for (const float cut : {1.5f, 2.0f, 2.5f, 3.0f}) {
    if (2 * cut * deviation < range) attempt(2 * cut * deviation / levels.hi, mean - cut * deviation, false);
  }
  for (int k = 1; k <= search.lattice; ++k) attempt(range / static_cast<float>(k), low, false);
  list.count = lesser(list.count, search.keep);
  for (int i = 0; i < list.count && search.snap == Snap::none; ++i) improve<true>(levels, g, search, list.fits[i]);
  return list;
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
