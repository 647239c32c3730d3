// The scale (and offset) with the least weighted squared error for groups of values, eight side by side.
//
// With scale and offset fixed, the nearest code of each value is best; with the codes fixed, scale and offset follow
// from weighted least squares. So the error is a function of scale (and offset) alone, with many small dips. The search
// looks into those near the scales that put the largest value at either end of the range (a grid), at scales for which
// the largest value is a small multiple (values that were quantised before), and at scales that cut outliers off. The
// best few are then improved by turns, codes and scales, until the error stays.
//
// One pass gives the error at a scale and the sums for least squares. They are of the residual r = x - value, not of x:
// the error is a small difference of large sums otherwise, and lost in the rounding of float.
#pragma once

#include "compress/rounding/bundle.h"
#include "compress/rounding/levels.h"

namespace miao::compress {
inline namespace MIAO_LANES {

// Sums over a group, with the levels q nearest at some scale and offset, and r = x - (scale * q + offset).
template <class T>
struct Sums {
  T error;   // w r^2
  T rq, qq;  // w r q, w q^2
  T r, q;    // w r, w q; of groups with offset only
};

// `n`: so many of the values.
template <bool with_offset, class Levels>
static inline Sums<Half> measure(const Levels& levels, const Bundle& b, int n, Half scale, Half offset) {
  const Half zero = splat<Half>(0), inverse = reciprocal(scale);
  Sums<Half> m = {zero, zero, zero, zero, zero};
  for (int i = 0; i < n; ++i) {
    const Half x = at<Half>(b.x, i), w = at<Half>(b.w, i);
    const Half q = levels((with_offset ? x - offset : x) * inverse);
    const Half r = with_offset ? x - (scale * q + offset) : x - scale * q;
    const Half wr = w * r, wq = w * q;
    m.error = m.error + wr * r;
    m.rq = m.rq + wr * q;
    m.qq = m.qq + wq * q;
    if (with_offset) {
      m.r = m.r + wr;
      m.q = m.q + wq;
    }
  }
  return m;
}

// Nearest F16 number (but for the choice at ties), clamped to the finite ones.
template <class T>
static inline T snap_f16(T v) {
  const T largest = splat<T>(65504.0f), small = splat<T>(0.75f);
  const T upper = v * splat<T>(8193.0f);  // Veltkamp: the upper 11 bits
  const T snapped = if_less(magnitude(v), splat<T>(6.103515625e-5f), (v + small) - small,  // steps of 2^-24
                            upper - (upper - v));
  return if_less(magnitude(v), largest, snapped, if_less(v, splat<T>(0), splat<T>(0) - largest, largest));
}

template <class T>
struct Fit {
  T scale, offset;
  T error;
};
template <class T>
static inline void keep_better(Fit<T>& best, const Fit<T>& next) {
  best.scale = if_less(next.error, best.error, next.scale, best.scale);
  best.offset = if_less(next.error, best.error, next.offset, best.offset);
  best.error = lesser(next.error, best.error);
}

// Whether float cannot tell which of two errors is the less: differences of values lose some 1e-7 of the values.
static inline bool may_tie(float error, float other, float energy) { return other <= 1.01f * error + 1e-12f * energy; }

// The best few different fits, by error.
struct Shortlist {
  static constexpr int kSize = 3;
  Fit<Half> fits[kSize];

  Shortlist() {
    for (Fit<Half>& f : fits) f = {splat<Half>(0), splat<Half>(0), splat<Half>(3.2e38f)};
  }
  void offer(Fit<Half> next) {
    if (!any_less(next.error, fits[kSize - 1].error)) return;
    for (const Fit<Half>& f : fits) {  // the same codes, found from another scale
      const Half same = f.error * splat<Half>(1e-6f), none = splat<Half>(3.3e38f);
      next.error = if_less(magnitude(next.error - f.error), same, none, next.error);
    }
    for (Fit<Half>& f : fits) {
      const Fit<Half> old = f;
      keep_better(f, next);
      next.scale = if_less(next.error, old.error, old.scale, next.scale);
      next.offset = if_less(next.error, old.error, old.offset, next.offset);
      next.error = greater(next.error, old.error);
    }
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
  Grid low, high;  // for either end of the range; with offset only one, from the smallest value
  Snap snap;
  int lattice;        // extreme / k is tried for k = 1..lattice
  bool offset_below;  // offsets must not be positive (those of two levels)
  int keep;           // fits that are followed up, 1..Shortlist::kSize
};

template <class T>
static inline T snapped(Snap snap, T v) {
  return snap == Snap::f16 ? snap_f16(v) : v;
}

// The scale and offset that least squares gives for the codes of m, which was measured at `fit`, as they will be
// stored.
template <bool with_offset>
static inline Fit<Half> refit(const Sums<Half>& m, const Bundle& b, const Fit<Half>& fit, const Search& search) {
  const Half zero = splat<Half>(0), step = if_less(zero, m.qq, m.rq / m.qq, zero);
  if (!with_offset) return {snapped(search.snap, fit.scale + step), zero, m.error};
  const Half determinant = m.qq * b.weight - m.q * m.q, bound = splat<Half>(1e-6f) * m.qq * b.weight;
  // One code for all values where there is no answer: only the offset moves.
  Half scale = fit.scale + if_less(bound, determinant, (b.weight * m.rq - m.q * m.r) / determinant, zero);
  scale = snapped(search.snap, scale);
  // The offset makes up for the change of the scale.
  Half offset = fit.offset + if_less(zero, b.weight, (m.r - m.q * (scale - fit.scale)) / b.weight, zero);
  if (search.offset_below) {
    const Half to_zero = zero - fit.offset,
               alone = fit.scale + if_less(zero, m.qq, (m.rq - to_zero * m.q) / m.qq, zero);
    scale = if_less(zero, offset, snapped(search.snap, alone), scale);
    offset = lesser(zero, offset);
  }
  return {scale, snapped(search.snap, offset), m.error};
}

// By turns: codes, least squares, as long as that helps. The best of what was seen, as it will be stored.
template <bool with_offset, class Levels>
static inline void settle(const Levels& levels, const Bundle& b, const Search& search, Fit<Half> start,
                          Fit<Half>& best) {
  Fit<Half> now = {snapped(search.snap, start.scale), snapped(search.snap, start.offset), splat<Half>(3.3e38f)};
  for (int turn = 0; turn < 4; ++turn) {
    const Sums<Half> m = measure<with_offset>(levels, b, b.n, now.scale, now.offset);
    if (!any_less(m.error, now.error * splat<Half>(1 - 1e-6f))) break;
    now.error = m.error;
    keep_better(best, now);
    now = refit<with_offset>(m, b, now, search);
  }
}

// Fits of groups without offset. levels.lo <= 0 <= levels.hi.
template <class Levels>
static void search_scale(const Levels& levels, const Bundle& b, const Search& search, Shortlist& list) {
  const Half zero = splat<Half>(0), extreme = if_less(b.high, zero - b.low, b.low, b.high);
  list.offer({zero, zero, b.energy});
  if (!any_less(zero, magnitude(extreme))) return;
  // The scale that makes `end` of the largest value.
  const auto attempt = [&](Half end) {
    const Half scale = extreme / end;
    const Sums<Half> m = measure<false>(levels, b, b.n, scale, zero);
    const Half step = if_less(zero, m.qq, m.rq / m.qq, zero), exact = scale + step;
    const Half stored = snapped(search.snap, exact), off = stored - exact;
    list.offer({stored, zero, greater(zero, m.error - m.rq * step) + m.qq * off * off});
  };
  const auto along = [&](float end, const Grid& grid, float sign) {
    for (int i = 0; i < grid.count; ++i)
      attempt(splat<Half>(end + sign * (grid.first + grid.step * static_cast<float>(i))));
  };
  along(levels.lo, search.low, -1);
  along(levels.hi, search.high, 1);
  for (int k = 1; k <= search.lattice; ++k) {
    // Most of these are far off, which the first values tell.
    const Half end = splat<Half>(static_cast<float>(k)), scale = snapped(search.snap, extreme / end);
    if (any_less(measure<false>(levels, b, b.n / 2, scale, zero).error, list.fits[0].error)) attempt(end);
  }
  const Half last = splat<Half>(-levels.lo > levels.hi ? levels.lo : levels.hi), size = magnitude(extreme);
  const Half rms = root(b.energy / b.weight);
  for (const float times : {2.0f, 2.5f, 3.0f, 3.5f}) {
    const Half cut = splat<Half>(times) * rms, near = splat<Half>(0.9f) * size;
    if (any_less(cut, near)) attempt(if_less(cut, near, last * size / cut, last));
  }
}

// The error of a scale and offset; the best of what follows from them.
static inline void offer_line(const UniformLevels& levels, const Bundle& b, const Search& search, Half scale,
                              Half offset, Shortlist& list) {
  const Fit<Half> start = {scale, offset, splat<Half>(0)};
  const Sums<Half> m = measure<true>(levels, b, b.n, scale, offset);
  Fit<Half> next = refit<true>(m, b, start, search);
  const Half ds = next.scale - scale, shift = next.offset - offset, two = splat<Half>(2);
  const Half change = ds * (ds * m.qq + two * shift * m.q - two * m.rq) + shift * (shift * b.weight - two * m.r);
  next.error = lesser(greater(splat<Half>(0), m.error + change), m.error);
  list.offer(next);
}

// Moves each end of the range a little, as long as that helps.
static inline void move_ends(const UniformLevels& levels, const Bundle& b, const Search& search, Fit<Half>& fit) {
  const Half zero = splat<Half>(0), hi = splat<Half>(levels.hi);
  for (const float move : {0.5f, 0.25f}) {
    for (const int end : {0, 1}) {
      for (const float by : {-move, move}) {
        const Half amount = splat<Half>(by) * fit.scale;
        Fit<Half> next = fit;
        if (end == 0) next.offset = next.offset + amount;
        next.scale = next.scale + (end == 0 ? zero - amount : amount) / hi;
        if (search.offset_below) next.offset = lesser(next.offset, zero);
        const Sums<Half> m = measure<true>(levels, b, b.n, next.scale, next.offset);
        next = refit<true>(m, b, next, search);
        next.error = measure<true>(levels, b, b.n, next.scale, next.offset).error;
        keep_better(fit, next);
      }
    }
  }
}

// Fits of groups with offset; levels 0..hi.
static void search_line(const UniformLevels& levels, const Bundle& b, const Search& search, Shortlist& list) {
  const Half zero = splat<Half>(0), hi = splat<Half>(levels.hi);
  const Half low = search.offset_below ? lesser(b.low, zero) : b.low, range = b.high - low, mean = b.sum / b.weight;
  const auto attempt = [&](Half scale, Half offset) {
    offer_line(levels, b, search, scale, search.offset_below ? lesser(offset, zero) : offset, list);
  };
  attempt(zero, low);
  attempt(b.high / hi, zero);
  for (int i = 0; i < search.high.count; ++i) {
    attempt(range / splat<Half>(levels.hi + search.high.first + search.high.step * static_cast<float>(i)), low);
  }
  const Half deviation = root(greater(b.energy / b.weight - mean * mean, zero));
  for (const float times : {1.5f, 2.0f, 2.5f, 3.0f}) {
    const Half cut = splat<Half>(times) * deviation, both = cut + cut;
    if (any_less(both, range))
      attempt(if_less(both, range, both / hi, range / hi), if_less(both, range, mean - cut, low));
  }
  for (int k = 1; k <= search.lattice; ++k) {
    const Half scale = range / splat<Half>(static_cast<float>(k));
    if (any_less(measure<true>(levels, b, b.n / 2, scale, low).error, list.fits[0].error)) attempt(scale, low);
  }
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
