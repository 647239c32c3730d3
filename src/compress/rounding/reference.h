// The scales that llama.cpp's encoder stores for a block (ggml-quants.c), so that a search can promise to be never
// worse: with them and the nearest codes the error is at most that of its bytes, whatever the weights. For the same
// choice between near equals, sums have its order of operations: that of scalar code, here for eight groups at once
// (bundle.h).
//
//   with importance     reference_scale (make_qx_quants; IQ4 has its own grid), reference_line (make_qkx3_quants),
//   codes
//                       of scales by reference_scale or fit_positive (make_qp_quants)
//   without             what it does without an importance matrix: no search for Q4_0, Q4_1, Q5_0, Q5_1; its own
//   weights
//                       for the others
#pragma once

#include "compress/rounding/bundle.h"
#include "compress/rounding/family.h"
#include "compress/rounding/levels.h"

namespace miao::compress {
inline namespace MIAO_LANES {

constexpr float kNothing = 1e-15f;  // below which all values of a group are zero to llama.cpp

template <class T>
struct Extreme {
  T value, size;  // the first of the largest magnitude
};

template <class T>
static inline Extreme<T> extreme_of(const float* x, int n) {
  Extreme<T> e = {splat<T>(0), splat<T>(0)};
  for (int i = 0; i < n; ++i) {
    const T v = at<T>(x, i), size = magnitude(v);
    e.value = if_less(e.size, size, v, e.value);
    e.size = greater(e.size, size);
  }
  return e;
}

template <class T>
struct Scale {
  T scale, inverse;  // inverse: what values are multiplied with to get their codes; not the reciprocal
};

// Of a grid of scales, that which leaves the least error once it is replaced by that of least squares.
template <class T, class Levels>
static Scale<T> reference_scale(const Levels& levels, const float* x, const float* w, int n, bool table) {
  const Extreme<T> extreme = extreme_of<T>(x, n);
  const T zero = splat<T>(0);
  Scale<T> out = {zero, zero};
  T best = zero;
  const auto attempt = [&](T inverse, bool first) {
    T lx = zero, ll = zero;
    for (int i = 0; i < n; ++i) {
      const T xi = at<T>(x, i), wi = at<T>(w, i), l = levels(inverse * xi);
      lx = lx + (table ? wi * l * xi : wi * xi * l);
      ll = ll + wi * l * l;
    }
    const T scale = if_less(zero, ll, lx / ll, zero), gain = if_less(zero, ll, lx * lx, splat<T>(-1)), bar = best * ll;
    out.scale = first ? scale : if_less(bar, gain, scale, out.scale);
    out.inverse = first ? inverse : if_less(bar, gain, inverse, out.inverse);
    best = first ? scale * lx : if_less(bar, gain, scale * lx, best);
  };
  const T lo = splat<T>(levels.lo);
  if (table) {
    attempt(splat<T>(1) / ((zero - extreme.value) / lo), true);
    for (int i = -7; i <= 7; ++i) attempt(splat<T>(static_cast<float>(i) + levels.lo) / extreme.value, false);
  } else {
    attempt(lo / extreme.value, true);
    for (int i = -9; i <= 9; ++i) {
      if (i != 0) attempt(splat<T>(-(0.1f * static_cast<float>(i) - levels.lo)) / extreme.value, false);
    }
  }
  const T nothing = splat<T>(kNothing);
  return {if_less(extreme.size, nothing, zero, out.scale), if_less(extreme.size, nothing, zero, out.inverse)};
}

// make_q3_quants: one scale, then each code by turns. Groups whose largest value is positive keep their first codes.
template <class T>
static T reference_q3_scale(const UniformLevels& levels, const float* x, int n) {
  const Extreme<T> extreme = extreme_of<T>(x, n);
  const T zero = splat<T>(0), inverse = splat<T>(levels.lo) / extreme.value;
  float code[kMaxGroup * kLanes];
  T lx = zero, ll = zero;
  for (int i = 0; i < n; ++i) {
    const T xi = at<T>(x, i), w = xi * xi, l = levels(inverse * xi);
    put(code, i, l);
    lx = lx + w * xi * l;
    ll = ll + w * l * l;
  }
  for (int turn = 0; turn < 5; ++turn) {
    bool changed = false;
    for (int i = 0; i < n; ++i) {
      const T xi = at<T>(x, i), w = xi * xi, l = at<T>(code, i);
      const T lx_rest = lx - w * xi * l, ll_rest = ll - w * l * l;
      const T next = levels(xi * ll_rest / lx_rest), lx_next = lx_rest + w * xi * next,
              ll_next = ll_rest + w * next * next;
      // Less than `gain` only where the remaining sums are positive and the code is another one.
      const T gain = if_less(zero, lx_rest, if_less(zero, ll_next, lx_next * lx_next * ll, splat<T>(-1)), splat<T>(-1));
      const T bar = if_less(zero, magnitude(next - l), lx * lx * ll_next, gain);
      if (!any_less(bar, gain)) continue;
      changed = true;
      put(code, i, if_less(bar, gain, next, l));
      const T lx_new = if_less(bar, gain, lx_next, lx), ll_new = if_less(bar, gain, ll_next, ll);
      lx = lx_new;
      ll = ll_new;
    }
    if (!changed) break;
  }
  return if_less(extreme.size, splat<T>(kNothing), zero, if_less(zero, ll, lx / ll, zero));
}

template <class T>
struct Line {
  T scale, offset;
};

template <class T>
struct LineFit {
  Line<T> line;
  T error;  // 3e38 where there is no answer
};

// Scale and offset by least squares for the codes that `inverse` and `low` give. Offsets are not positive.
template <class T>
static inline LineFit<T> fit_line(const UniformLevels& levels, const float* x, const float* w, int n, T weight, T sum,
                                  T inverse, T low, bool absolute) {
  const T zero = splat<T>(0);
  float code[kMaxGroup * kLanes];
  T l_sum = zero, ll = zero, xl = zero;
  for (int i = 0; i < n; ++i) {
    const T xi = at<T>(x, i), wi = at<T>(w, i), l = levels(inverse * (xi - low)), wl = wi * l;
    put(code, i, l);
    l_sum = l_sum + wl;
    ll = ll + wl * l;
    xl = xl + wl * xi;
  }
  const T determinant = weight * ll - l_sum * l_sum;
  LineFit<T> out;
  out.line.scale = (weight * xl - sum * l_sum) / determinant;
  out.line.offset = (ll * sum - l_sum * xl) / determinant;
  out.line.scale = if_less(zero, out.line.offset, xl / ll, out.line.scale);
  out.line.offset = lesser(zero, out.line.offset);
  T error = zero;
  for (int i = 0; i < n; ++i) {
    const T difference = out.line.scale * at<T>(code, i) + out.line.offset - at<T>(x, i);
    error = error + at<T>(w, i) * (absolute ? magnitude(difference) : difference * difference);
  }
  out.error = if_less(zero, determinant, error, splat<T>(3e38f));
  return out;
}

struct LineGrid {
  float first, step;
  int last;       // steps 0..last
  bool absolute;  // least sum of magnitudes instead of squares
};

// make_qkx2_quants and make_qkx3_quants: a grid of scales, which starts anew at the best offset so far.
template <class T>
static Line<T> reference_line(const UniformLevels& levels, const float* x, const float* w, int n,
                              const LineGrid& grid) {
  const T zero = splat<T>(0), hi = splat<T>(levels.hi);
  T low = at<T>(x, 0), high = low, weight = at<T>(w, 0), sum = weight * low;
  for (int i = 1; i < n; ++i) {
    const T xi = at<T>(x, i), wi = at<T>(w, i);
    low = lesser(xi, low);
    high = greater(xi, high);
    weight = weight + wi;
    sum = sum + wi * xi;
  }
  low = lesser(zero, low);
  const T lowest = low, range = high - low;
  T scale = splat<T>(1) / (hi / range), best = zero;
  for (int i = 0; i < n; ++i) {
    const T xi = at<T>(x, i), difference = scale * levels(hi / range * (xi - low)) + low - xi;
    best = best + at<T>(w, i) * (grid.absolute ? magnitude(difference) : difference * difference);
  }
  for (int i = 0; i <= grid.last; ++i) {
    const T inverse = splat<T>(grid.first + grid.step * static_cast<float>(i) + levels.hi) / (high - low);
    const LineFit<T> next = fit_line(levels, x, w, n, weight, sum, inverse, low, grid.absolute);
    scale = if_less(next.error, best, next.line.scale, scale);
    low = if_less(next.error, best, next.line.offset, low);
    best = lesser(next.error, best);
  }
  return {if_less(zero, range, scale, zero), if_less(zero, range, low, lowest)};
}

// make_qp_quants: codes 0..hi and a scale for numbers that are not negative: the best of a few scales, then each code
// by turns, with the scale that least squares gives. Returns the scale.
static inline float fit_positive(const float* x, const float* w, int n, int hi, int* codes) {
  float highest = 0;
  for (int i = 0; i < n; ++i) highest = greater(highest, x[i]);
  for (int i = 0; i < n; ++i) codes[i] = 0;
  if (highest < kNothing) return 0;
  const auto code = [&](float y) { return lesser(static_cast<int>(round_even(y)), hi); };
  float inverse = 0, least = 0;
  for (const int step : {0, -4, -3, -2, -1, 1, 2, 3, 4}) {
    const float next = (0.1f * static_cast<float>(step) + static_cast<float>(hi)) / highest, scale = 1 / next;
    float error = 0;
    for (int i = 0; i < n; ++i) {
      const float difference = x[i] - scale * static_cast<float>(code(next * x[i]));
      error += w[i] * difference * difference;
    }
    if (step != 0 && !(error < least)) continue;
    inverse = next;
    least = error;
  }
  float lx = 0, ll = 0;  // sums of w l x and w l^2
  for (int i = 0; i < n; ++i) {
    codes[i] = code(inverse * x[i]);
    const float l = static_cast<float>(codes[i]);
    lx += w[i] * x[i] * l;
    ll += w[i] * l * l;
  }
  for (int turn = 0, changed = 1; turn < 5 && changed; ++turn) {
    changed = 0;
    for (int i = 0; i < n; ++i) {
      const float l = static_cast<float>(codes[i]);
      float lx_next = lx - w[i] * x[i] * l, ll_next = ll - w[i] * l * l;
      if (!(lx_next > 0 && ll_next > 0)) continue;
      const int next = code(lesser(x[i] * ll_next / lx_next, 1e6f));
      if (next == codes[i]) continue;
      const float m = static_cast<float>(next);
      lx_next += w[i] * x[i] * m;
      ll_next += w[i] * m * m;
      if (!(lx_next * lx_next * ll > lx * lx * ll_next)) continue;
      codes[i] = next;
      lx = lx_next;
      ll = ll_next;
      changed = 1;
    }
  }
  return ll > 0 ? lx / ll : 0;
}

// Its weights without importance, of up to eight groups side by side.
static inline void reference_weights(const Family& f, const float* x, float* w) {
  Half squares = splat<Half>(0);
  for (int i = 0; i < f.group; ++i) squares = squares + at<Half>(x, i) * at<Half>(x, i);
  const Half rms = root(squares / splat<Half>(static_cast<float>(f.group)));
  for (int i = 0; i < f.group; ++i) {
    const Half v = at<Half>(x, i), size = magnitude(v);
    put(w, i, !f.offset ? v * v : f.dtype == DType::q2_k ? size : rms + size);
  }
}

struct GroupFits {
  float scale[kMaxGroups], min[kMaxGroups], weight[kMaxGroups];
};

// Scales (and -offsets) of up to eight groups, lanes 0..count at out[first..]. theirs: null without importance.
static void reference_groups(const Family& f, const float* x, const float* theirs, int first, int count,
                             GroupFits& out) {
  alignas(32) float xs[kMaxGroup * kLanes], ws[kMaxGroup * kLanes];
  side_by_side(x, f.group, count, xs);
  if (theirs) {
    side_by_side(theirs, f.group, count, ws);
  } else {
    reference_weights(f, xs, ws);
  }
  Line<Half> fit = {splat<Half>(0), splat<Half>(0)};
  const UniformLevels levels = {static_cast<float>(f.lo), static_cast<float>(f.hi)};
  if (f.table) {
    fit.scale = reference_scale<Half>(kIq4Levels, xs, ws, f.group, true).scale;
  } else if (f.offset) {
    const LineGrid grid = theirs                   ? LineGrid{-0.9f, 0.05f, 36, false}
                          : f.dtype == DType::q4_k ? LineGrid{-1, 0.1f, 20, false}
                                                   : LineGrid{-0.5f, 0.1f, 15, f.dtype == DType::q2_k};
    fit = reference_line<Half>(levels, xs, ws, f.group, grid);
  } else if (f.dtype == DType::q3_k && !theirs) {
    fit.scale = reference_q3_scale<Half>(levels, xs, f.group);
  } else {
    fit.scale = reference_scale<Half>(levels, xs, ws, f.group, false).scale;
  }
  Half weight = splat<Half>(0);
  for (int i = 0; i < f.group; ++i) weight = weight + at<Half>(ws, i);
  float lanes[3][kLanes];
  store(lanes[0], fit.scale);
  store(lanes[1], splat<Half>(0) - fit.offset);
  store(lanes[2], weight);
  for (int lane = 0; lane < count; ++lane) {
    out.scale[first + lane] = lanes[0][lane];
    out.min[first + lane] = lanes[1][lane];
    out.weight[first + lane] = lanes[2][lane];
  }
}

// Codes 0..hi of numbers where the largest has the last code.
static inline float last_for_largest(const float* x, int n, int hi, int* codes) {
  float highest = 0;
  for (int i = 0; i < n; ++i) highest = greater(x[i], highest);
  const float inverse = highest > 0 ? static_cast<float>(hi) / highest : 0;
  for (int i = 0; i < n; ++i) codes[i] = lesser(static_cast<int>(round_even(inverse * x[i])), hi);
  return highest / static_cast<float>(hi);
}

// The scales of a super-block from those of its groups.
static Scales reference_codes(const Family& f, const GroupFits& fits, bool importance) {
  const int groups = groups_of(f);
  Scales out;
  int codes[kMaxGroups], mins[kMaxGroups];
  if (f.offset) {
    const auto encode = [&](const float* x, int hi, int* to) {
      return importance ? fit_positive(x, fits.weight, groups, hi, to) : last_for_largest(x, groups, hi, to);
    };
    out.d = f32_to_f16(encode(fits.scale, f.scale_hi, codes));
    out.dmin = f32_to_f16(encode(fits.min, f.min_hi, mins));
    for (int g = 0; g < groups; ++g) {
      out.scale_code[g] = static_cast<int8_t>(greater(codes[g], 0));
      out.min_code[g] = static_cast<uint8_t>(greater(mins[g], 0));
    }
    return out;
  }
  const UniformLevels levels = {static_cast<float>(f.scale_lo), static_cast<float>(f.scale_hi)};
  float d = 0, inverse = 0;
  if (importance && f.dtype == DType::q3_k) {
    const Scale<float> fit = reference_scale<float>(levels, fits.scale, fits.weight, groups, false);
    d = fit.scale;
    inverse = fit.inverse;
  } else {
    const Extreme<float> largest = extreme_of<float>(fits.scale, groups);
    if (largest.size == 0 || (f.dtype == DType::q6_k && largest.size < kNothing)) return out;
    inverse = levels.lo / largest.value;
    d = 1 / inverse;
    if (f.table) {
      d = (0 - largest.value) / 32;
      inverse = 1 / d;
    }
  }
  out.d = f32_to_f16(d);
  for (int g = 0; g < groups; ++g) out.scale_code[g] = static_cast<int8_t>(levels(inverse * fits.scale[g]));
  return out;
}

// From the largest values, as rounding without a search has them.
static void plain_reference(const Family& f, const Bundle& b, int blocks, Scales* out) {
  float extreme[kLanes], low[kLanes], high[kLanes];
  store(extreme, extreme_of<Half>(b.x, b.n).value);
  store(low, b.low);
  store(high, b.high);
  for (int i = 0; i < blocks; ++i) {
    out[i].d =
        f32_to_f16(f.offset ? (high[i] - low[i]) / static_cast<float>(f.hi) : extreme[i] / static_cast<float>(f.lo));
    if (f.offset) out[i].dmin = f32_to_f16(low[i]);
  }
}

// Of up to eight blocks at x that are one group each, and in b. theirs: the weights that llama.cpp has with importance,
// null without.
static void reference_one_level(const Family& f, const Bundle& b, const float* x, const float* theirs, int blocks,
                                Scales* out) {
  // Q8_0 has no search either way, and its sign does not matter.
  if (f.dtype == DType::q8_0 || (!theirs && !f.table)) return plain_reference(f, b, blocks, out);
  GroupFits fits;
  reference_groups(f, x, theirs, 0, blocks, fits);
  for (int i = 0; i < blocks; ++i) {
    out[i].d = f32_to_f16(fits.scale[i]);
    if (f.offset) out[i].dmin = f32_to_f16(-fits.min[i]);
  }
}

// Of one block of several groups.
static Scales reference_two_levels(const Family& f, const float* x, const float* theirs) {
  GroupFits fits;
  for (int g = 0; g < groups_of(f); g += kLanes) {
    reference_groups(f, x + g * f.group, theirs ? theirs + g * f.group : nullptr, g, kLanes, fits);
  }
  return reference_codes(f, fits, theirs != nullptr);
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
