// The scale (and offset) with the least weighted squared error for one group of values: the search that all formats share,
// for values and for the scales of a super-block, which are a group of "values" themselves.
//
// With scale and offset fixed, the nearest code of each value is best; with the codes fixed, scale and offset follow from
// weighted least squares. So the error is a function of scale (and offset) alone, with many small dips. The search
// looks into those near the scales that put the largest value at either end of the range (a grid; llama.cpp's is part of
// it), at scales for which the largest value is a small multiple (values that were quantised before), and at scales that
// cut outliers off. The best few are then improved by turns, codes and scales, until the error stays.
//
// One pass gives the error at a scale and the sums for least squares. They are of the residual r = x - value, not of x:
// the error is a small difference of large sums otherwise, and lost in the rounding of float.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "compress/rounding/lanes.h"
#include "compress/rounding/levels.h"

namespace miao::compress {

struct Group {
  const float* x;
  const float* w;
  int n;           // a multiple of 4
  float weight;    // sum of w
  float energy;    // sum of w x^2
  float sum;       // sum of w x
  float low, high;  // of x

  float extreme() const { return high >= -low ? high : low; }
};

static inline Group make_group(const float* x, const float* w, int n) {
  F4 weight = splat(0), energy = splat(0), sum = splat(0), low = load4(x), high = low;
  for (int i = 0; i < n; i += 4) {
    const F4 xi = load4(x + i), wx = load4(w + i) * xi;
    weight += load4(w + i);
    sum += wx;
    energy += wx * xi;
    low = min4(low, xi);
    high = max4(high, xi);
  }
  return {x, w, n, sum4(weight), sum4(energy), sum4(sum),
          std::min(std::min(low[0], low[1]), std::min(low[2], low[3])),
          std::max(std::max(high[0], high[1]), std::max(high[2], high[3]))};
}

// Sums over a group, with the levels q nearest at some scale and offset, and r = x - (scale * q + offset).
struct Sums {
  float error;  // w r^2
  float rq, qq;  // w r q, w q^2
  float r, q;    // w r, w q; of groups with offset only
};

template <bool with_offset, class Levels>
Sums measure(const Levels& levels, const Group& g, float scale, float offset = 0) {
  const F4 s = splat(scale), inverse = splat(reciprocal(scale)), o = splat(offset);
  F4 error = splat(0), rq = splat(0), qq = splat(0), r_sum = splat(0), q_sum = splat(0);
  for (int i = 0; i < g.n; i += 4) {
    const F4 x = load4(g.x + i), w = load4(g.w + i);
    const F4 q = levels((with_offset ? x - o : x) * inverse);
    const F4 r = with_offset ? x - (s * q + o) : x - s * q;
    const F4 wr = w * r, wq = w * q;
    error += wr * r;
    rq += wr * q;
    qq += wq * q;
    if (with_offset) {
      r_sum += wr;
      q_sum += wq;
    }
  }
  return {sum4(error), sum4(rq), sum4(qq), with_offset ? sum4(r_sum) : 0, with_offset ? sum4(q_sum) : 0};
}

// Nearest F16 number (but for the choice at ties), clamped to the finite ones.
static inline float snap_f16(float v) {
  if (std::fabs(v) < 6.103515625e-5f) return (v + 0.75f) - 0.75f;  // steps of 2^-24
  if (std::fabs(v) >= 65504.0f) return v < 0 ? -65504.0f : 65504.0f;
  const float upper = v * 8193.0f;  // Veltkamp: the upper 11 bits
  return upper - (upper - v);
}

struct Fit {
  float scale = 0, offset = 0;
  float error = 0;  // expected, with the codes it was found with
};

// The best few different fits, by error.
struct Shortlist {
  static constexpr int kSize = 3;
  Fit fits[kSize];
  int count = 0;

  void offer(const Fit& fit) {
    int at = count;
    while (at > 0 && fit.error < fits[at - 1].error) --at;
    constexpr float kSame = 1 + 1e-6f;  // the same codes, found from another scale
    if (at >= kSize || (at > 0 && fit.error <= fits[at - 1].error * kSame)) return;
    if (at < count && fits[at].error <= fit.error * kSame) {
      fits[at] = fit;
      return;
    }
    if (count < kSize) ++count;
    for (int i = count - 1; i > at; --i) fits[i] = fits[i - 1];
    fits[at] = fit;
  }
};

// How scales will be stored: least squares answers are brought there before they are compared.
enum class Snap : uint8_t { none, f16 };

struct Search {
  float step;
  int count;
  Snap snap;
  int lattice;       // extreme / k is tried for k = 1..lattice
  bool offset_below;  // offsets must not be positive (those of two levels)
};

static inline float snapped(Snap snap, float v) { return snap == Snap::f16 ? snap_f16(v) : v; }

static inline Fit refit_scale(const Sums& m, float scale, Snap snap) {
  if (!(m.qq > 0)) return {scale, 0, m.error};
  const float ideal = scale + m.rq / m.qq, out = snapped(snap, ideal), off = out - ideal;
  return {out, 0, std::max(m.error - m.rq * m.rq / m.qq, 0.0f) + m.qq * off * off};
}

static inline Fit refit_line(const Sums& m, const Group& g, Fit at, const Search& search) {
  const float determinant = m.qq * g.weight - m.q * m.q;
  float scale = at.scale, offset = at.offset, error = m.error;
  if (determinant > 1e-6f * m.qq * g.weight) {
    const float ds = (g.weight * m.rq - m.q * m.r) / determinant, doff = (m.qq * m.r - m.q * m.rq) / determinant;
    scale += ds;
    offset += doff;
    error -= ds * m.rq + doff * m.r;
  } else if (g.weight > 0) {  // one code for all
    offset += m.r / g.weight;
    error -= m.r * m.r / g.weight;
  }
  if (search.offset_below && offset > 0) {  // the best scale without offset
    const float rq = m.rq + at.offset * m.q;
    offset = 0;
    scale = m.qq > 0 ? at.scale + rq / m.qq : at.scale;
    error = m.error + at.offset * (2 * m.r + at.offset * g.weight) - (m.qq > 0 ? rq * rq / m.qq : 0);
  }
  error = std::max(error, 0.0f);
  if (search.snap == Snap::none) return {scale, offset, error};
  const float ds = snap_f16(scale) - scale;
  const float ideal = g.weight > 0 ? offset - m.q / g.weight * ds : offset, doff = snap_f16(ideal) - offset;
  return {scale + ds, offset + doff, error + ds * (m.qq * ds + 2 * m.q * doff) + doff * doff * g.weight};
}

// By turns: nearest codes, least squares, until the error stays.
template <bool with_offset, class Levels>
void improve(const Levels& levels, const Group& g, const Search& search, Fit& fit) {
  for (int turn = 0; turn < 4; ++turn) {
    const Sums m = measure<with_offset>(levels, g, fit.scale, fit.offset);
    const Fit next = with_offset ? refit_line(m, g, fit, search) : refit_scale(m, fit.scale, search.snap);
    if (!(next.error < fit.error * (1 - 1e-6f))) return;
    fit = next;
  }
}

// Fits of a group without offset. levels.lo <= 0 <= levels.hi.
template <class Levels>
Shortlist search_scale(const Levels& levels, const Group& g, const Search& search) {
  Shortlist list;
  list.offer({0, 0, g.energy});
  const float extreme = g.extreme();
  if (extreme == 0) return list;
  const auto attempt = [&](float scale) { list.offer(refit_scale(measure<false>(levels, g, scale), scale, search.snap)); };
  for (int i = -search.count; i <= search.count; ++i) {
    const float widen = search.step * static_cast<float>(i);
    if (levels.lo < 0) attempt(extreme / (levels.lo - widen));
    if (levels.lo != -levels.hi) attempt(extreme / (levels.hi + widen));
  }
  for (int k = 1; k <= search.lattice; ++k) {
    const float scale = snapped(search.snap, extreme / static_cast<float>(k));
    // Most of these are far off, which the first values tell.
    const Group head = {g.x, g.w, 4, 0, 0, 0, 0, 0};
    if (measure<false>(levels, head, scale).error < list.fits[0].error) attempt(scale);
  }
  const float end = -levels.lo > levels.hi ? levels.lo : levels.hi, rms = std::sqrt(g.energy / g.weight);
  for (const float cut : {2.0f, 2.5f, 3.0f, 3.5f}) {
    if (cut * rms < 0.9f * std::fabs(extreme)) attempt((extreme < 0 ? -cut : cut) * rms / end);
  }
  for (int i = 0; i < list.count; ++i) improve<false>(levels, g, search, list.fits[i]);
  return list;
}

// Moves each end of the range of the best fit a little, as long as that helps.
static inline void move_ends(const UniformLevels& levels, const Group& g, const Search& search, Fit& fit) {
  for (const float move : {0.5f, 0.25f}) {
    for (const int end : {0, 1}) {
      for (const float by : {-move * fit.scale, move * fit.scale}) {
        Fit next = fit;
        if (end == 0) next.offset += by;
        next.scale += (end == 0 ? -by : by) / levels.hi;
        if (search.offset_below && next.offset > 0) continue;
        next = refit_line(measure<true>(levels, g, next.scale, next.offset), g, next, search);
        if (next.error < fit.error * (1 - 1e-6f)) fit = next;
      }
    }
  }
}

// Fits of a group with offset; levels 0..hi.
static inline Shortlist search_line(const UniformLevels& levels, const Group& g, const Search& search) {
  Shortlist list;
  const float low = search.offset_below ? std::min(g.low, 0.0f) : g.low, range = g.high - low;
  const float mean = g.weight > 0 ? g.sum / g.weight : 0;
  const auto attempt = [&](float scale, float offset) {
    const Fit at = {scale, search.offset_below ? std::min(offset, 0.0f) : offset, 0};
    list.offer(refit_line(measure<true>(levels, g, at.scale, at.offset), g, at, search));
  };
  if (!(range > 0)) {
    attempt(0, low);
    return list;
  }
  for (int i = -search.count; i <= search.count; ++i) attempt(range / (levels.hi + search.step * static_cast<float>(i)), low);
  const float deviation = std::sqrt(std::max(g.energy / g.weight - mean * mean, 0.0f));
  for (const float cut : {1.5f, 2.0f, 2.5f, 3.0f}) {
    if (2 * cut * deviation < range) attempt(2 * cut * deviation / levels.hi, mean - cut * deviation);
  }
  for (int k = 1; k <= search.lattice; ++k) attempt(range / static_cast<float>(k), low);
  for (int i = 0; i < list.count; ++i) improve<true>(levels, g, search, list.fits[i]);
  return list;
}

}  // namespace miao::compress
