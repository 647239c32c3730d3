// The search for the scales of a super-block: d (and dmin) of the block, small integer codes of each group; search.h
// has the outline.
#pragma once

#include "compress/rounding/fit.h"
#include "compress/rounding/grids.h"
#include "compress/rounding/levels.h"

namespace miao::compress {
inline namespace MIAO_LANES {

constexpr int kTurns = 6;

// llama.cpp's fit of codes 0..hi and a scale to numbers that are not negative (make_qp_quants): the best of a few
// scales, then each code by turns, with the scale that least squares gives. Returns the scale.
static inline float fit_positive(const float* x, const float* w, int n, int hi, int* codes) {
  float highest = 0;
  for (int i = 0; i < n; ++i) highest = greater(highest, x[i]);
  if (highest < 1e-15f) return 0;
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

// One block under search; with_offset: Q2_K, Q4_K, Q5_K, whose codes of scales and offsets are not negative.
template <bool with_offset, class Levels>
class SuperBlock {
 public:
  SuperBlock(const Family& f, bool importance, const Levels& levels, const float* x, const float* w)
      : f_(f),
        levels_(levels),
        groups_(groups_of(f)),
        search_(search_of(f, importance)),
        fits_codes_(fits_codes(f, importance)) {
    for (int g = 0; g < groups_; ++g) {
      group_[g] = make_group(x + g * f.group, w + g * f.group, f.group);
      weight_[g] = group_[g].weight;
      fit_group(g);
    }
  }

  Scales search() {
    State best = starts();
    for (int turn = 0; turn < kTurns; ++turn) {
      const float before = best.error;
      if (refit_block(best)) refit_block(best);
      step_codes(best);
      if (!(best.error < before * (1 - 5e-4f))) break;
    }
    Scales out;
    out.d = f32_to_f16(best.d);
    out.dmin = f32_to_f16(best.dmin);
    for (int g = 0; g < groups_; ++g) {
      out.scale_code[g] = static_cast<int8_t>(best.scale[g]);
      out.min_code[g] = static_cast<uint8_t>(best.min[g]);
    }
    return out;
  }

 private:
  struct Starts {  // different F16 numbers
    float values[Shortlist::kSize + 1] = {};
    int count = 0;

    void add(float value) {
      for (int i = 0; i < count; ++i) {
        if (values[i] == value) return;
      }
      values[count++] = value;
    }
  };
  struct State {
    float d = 0, dmin = 0;  // F16 numbers
    int scale[kMaxGroups] = {}, min[kMaxGroups] = {};
    Sums sums[kMaxGroups] = {};
    float error = 0;
  };

  // A scale and offset that suit a group by itself; q: sum of w q there, by which the best offset follows the scale.
  struct Ideal {
    float scale, offset, q;
  };

  // The best few of a group, which may lie far apart (values near one size suit many scales), and what changes cost.
  void fit_group(int g) {
    Shortlist list;
    if constexpr (with_offset) {
      list = search_line(levels_, group_[g], search_);
      move_ends(levels_, group_[g], search_, list.fits[0]);
    } else {
      list = search_scale(levels_, group_[g], search_);
    }
    reference_scale_[g] = list.reference.scale;
    reference_min_[g] = -list.reference.offset;
    const float low = lesser(group_[g].low, 0.0f);
    plain_scale_[g] = with_offset ? (group_[g].high - low) / levels_.hi : group_[g].extreme() / levels_.lo;
    plain_min_[g] = -low;
    ideals_[g] = list.count;
    for (int i = 0; i < ideals_[g]; ++i) {
      Fit fit = list.fits[i];
      if (with_offset) fit.scale = greater(fit.scale, 0.0f);
      const Sums m = measure<with_offset>(levels_, group_[g], fit.scale, fit.offset);
      ideal_[g][i] = {fit.scale, fit.offset, m.q};
      if (i > 0) continue;
      ideal_scale_[g] = fit.scale;
      ideal_min_[g] = -fit.offset;
      // With an offset, as if it followed the scale: the codes of both are chosen together.
      scale_cost_[g] = m.qq;
      if (with_offset && weight_[g] > 0) scale_cost_[g] = greater(m.qq - m.q * m.q / weight_[g], 1e-9f * m.qq);
    }
  }

  Search code_search(int lattice) const {
    return {{-0.9f, 0.1f, 19}, {-0.9f, 0.1f, 19}, 0, false, Snap::f16, lattice, false, search_.keep};
  }

  // d for which (integer codes) * d is near the given numbers, by what the difference costs and by the weight of the
  // group.
  Starts fit_codes(const float* ideal, const float* cost, int lo, int hi) const {
    const UniformLevels codes = {static_cast<float>(lo), static_cast<float>(hi)};
    const Search search = code_search(hi + (lo < 0));
    const Group group = make_group(ideal, cost, kMaxGroups);
    const Shortlist list = search_scale(codes, group, search);
    Starts out;
    for (int i = 0; i < list.count; ++i) out.add(list.fits[i].scale);
    out.add(search_scale(codes, make_group(ideal, weight_, kMaxGroups), search).fits[0].scale);
    return out;
  }

  // The best state of those that d and dmin from fit_codes lead to.
  State starts() const {
    const Starts d = fit_codes(ideal_scale_, scale_cost_, f_.scale_lo, f_.scale_hi);
    Starts dmin;
    if (with_offset) dmin = fit_codes(ideal_min_, weight_, 0, f_.min_hi);
    State best;
    for (int i = 0; i < d.count; ++i) keep_better(best, choose_codes(d.values[i], dmin.values[0]), i == 0);
    for (int i = 1; i < dmin.count; ++i) keep_better(best, choose_codes(best.d, dmin.values[i]), false);
    keep_better(best, coded(reference_scale_, reference_min_, fits_codes_), false);
    keep_better(best, coded(reference_scale_, reference_min_, false), false);
    keep_better(best, coded(plain_scale_, plain_min_, false), false);
    return best;
  }

  // What llama.cpp makes of scales and offsets of the groups: numbers to codes, each kind by itself.
  State coded(const float* scales, const float* mins, bool fitted) const {
    State s;
    s.d = codes_of(scales, f_.scale_lo, f_.scale_hi, fitted, s.scale);
    if (with_offset) s.dmin = codes_of(mins, 0, f_.min_hi, fitted, s.min);
    for (int g = 0; g < groups_; ++g) s.sums[g] = measure_group(g, s, s.scale[g], s.min[g]);
    s.error = total(s);
    return s;
  }

  // Codes of numbers, and the F16 number that they are multiplied with: fitted, or such that the largest has the last
  // code.
  float codes_of(const float* numbers, int lo, int hi, bool fitted, int* codes) const {
    if (fitted && lo == 0) return snap_f16(fit_positive(numbers, weight_, groups_, hi, codes));
    const UniformLevels levels = {static_cast<float>(lo), static_cast<float>(hi)};
    const Group group = make_group(numbers, weight_, kMaxGroups);
    const float end = lo < 0 ? levels.lo : levels.hi, extreme = group.extreme();
    float inverse = extreme == 0 ? 0 : end / extreme, d = extreme == 0 ? 0 : extreme / end;
    if (fitted) {
      const Shortlist list = search_scale(levels, group, code_search(0));
      inverse = list.inverse;
      d = list.reference.scale;
    }
    for (int g = 0; g < groups_; ++g)
      codes[g] = static_cast<int>(round_even(clamped(numbers[g] * inverse, levels.lo, levels.hi)));
    return snap_f16(d);
  }

  static void keep_better(State& best, const State& next, bool first) {
    if (first || next.error < best.error) best = next;
  }

  int to_code(float value, float d, int lo, int hi) const {
    const float y = value * reciprocal(d);
    return static_cast<int>(round_even(lesser(greater(y, static_cast<float>(lo)), static_cast<float>(hi))));
  }

  // The offset code that goes best with a scale, for the codes of values that are nearest at `scale` and `offset`.
  int min_for(int g, float change_of_scale, float q, float offset, float dmin) const {
    const float shift = weight_[g] > 0 ? q / weight_[g] * change_of_scale : 0;
    return to_code(shift - offset, dmin, 0, f_.min_hi);
  }

  Sums measure_group(int g, const State& s, int scale, int min) const {
    return measure<with_offset>(levels_, group_[g], s.d * static_cast<float>(scale),
                                -(s.dmin * static_cast<float>(min)));
  }

  // Codes of all groups for given d and dmin: of those near the ideal scales, the best.
  State choose_codes(float d, float dmin) const {
    State s;
    s.d = d;
    s.dmin = dmin;
    for (int g = 0; g < groups_; ++g) {
      s.sums[g].error = -1;
      for (int i = 0; i < ideals_[g]; ++i) {
        const Ideal& ideal = ideal_[g][i];
        const int near = to_code(ideal.scale, d, f_.scale_lo, f_.scale_hi);
        const bool above = ideal.scale * reciprocal(d) > static_cast<float>(near);
        try_ideal(s, g, near, ideal);
        if (i == 0) try_ideal(s, g, above ? near + 1 : near - 1, ideal);
      }
    }
    s.error = total(s);
    return s;
  }

  void try_ideal(State& s, int g, int code, const Ideal& ideal) const {
    if (code < f_.scale_lo || code > f_.scale_hi) return;
    const float change = s.d * static_cast<float>(code) - ideal.scale;
    const int min = with_offset ? min_for(g, change, ideal.q, ideal.offset, s.dmin) : 0;
    const Sums m = measure_group(g, s, code, min);
    if (s.sums[g].error < 0 || m.error < s.sums[g].error) take(s, g, code, min, m);
  }

  static void take(State& s, int g, int scale, int min, const Sums& m) {
    s.scale[g] = scale;
    s.min[g] = min;
    s.sums[g] = m;
  }

  float total(const State& s) const {
    float sum = 0;
    for (int g = 0; g < groups_; ++g) sum += s.sums[g].error;
    return sum;
  }

  // d and dmin by least squares with all codes fixed; true if that lowers the error.
  bool refit_block(State& best) const {
    float dd = 0, dm = 0, mm = 0, rd = 0, rm = 0;
    for (int g = 0; g < groups_; ++g) {
      const float scale = static_cast<float>(best.scale[g]), min = static_cast<float>(-best.min[g]);
      const Sums& m = best.sums[g];
      dd += scale * scale * m.qq;
      rd += scale * m.rq;
      if (!with_offset) continue;
      dm += scale * min * m.q;
      mm += min * min * weight_[g];
      rm += min * m.r;
    }
    State next = best;
    const float determinant = dd * mm - dm * dm;
    if (with_offset && determinant > 1e-6f * dd * mm) {
      next.d = snap_f16(best.d + (mm * rd - dm * rm) / determinant);
      next.dmin = snap_f16(greater(best.dmin + (rm - dm * (next.d - best.d)) / mm, 0.0f));
    } else if (dd > 0) {
      next.d = snap_f16(best.d + rd / dd);
    }
    if (next.d == best.d && next.dmin == best.dmin) return false;
    for (int g = 0; g < groups_; ++g) next.sums[g] = measure_group(g, next, next.scale[g], next.min[g]);
    next.error = total(next);
    if (!(next.error < best.error)) return false;
    best = next;
    return true;
  }

  // Moves the codes of each group by one step, as long as that helps.
  void step_codes(State& s) const {
    for (int g = 0; g < groups_; ++g) {
      for (const int by : {-1, 1}) try_codes(s, g, s.scale[g] + by, by);
      if (!with_offset) continue;
      for (const int by : {-1, 1}) {
        const int min = s.min[g] + by;
        if (min < 0 || min > f_.min_hi) continue;
        const Sums m = measure_group(g, s, s.scale[g], min);
        if (m.error < s.sums[g].error) take(s, g, s.scale[g], min, m);
      }
    }
    s.error = total(s);
  }

  void try_codes(State& s, int g, int code, int by) const {
    if (code < f_.scale_lo || code > f_.scale_hi) return;
    int min = 0;
    if (with_offset) {
      const float weight = weight_[g], offset = -(s.dmin * static_cast<float>(s.min[g]));
      min = min_for(g, s.d * static_cast<float>(by), s.sums[g].q, weight > 0 ? offset + s.sums[g].r / weight : offset,
                    s.dmin);
    }
    const Sums m = measure_group(g, s, code, min);
    if (m.error < s.sums[g].error) take(s, g, code, min, m);
  }

  const Family& f_;
  const Levels& levels_;
  const int groups_;
  Group group_[kMaxGroups];
  const Search search_;
  const bool fits_codes_;
  float reference_scale_[kMaxGroups] = {}, reference_min_[kMaxGroups] = {};  // llama.cpp's fits
  float plain_scale_[kMaxGroups] = {}, plain_min_[kMaxGroups] = {};          // from the range of values
  float ideal_scale_[kMaxGroups] = {}, ideal_min_[kMaxGroups] = {};          // zeros where there is no group
  Ideal ideal_[kMaxGroups][Shortlist::kSize];
  int ideals_[kMaxGroups];
  float scale_cost_[kMaxGroups] = {}, weight_[kMaxGroups] = {};
};

static Scales search_two_levels(const Family& f, bool importance, const float* x, const float* w) {
  if (f.table) return SuperBlock<false, TableLevels<16>>(f, importance, kIq4Levels, x, w).search();
  const UniformLevels levels = {static_cast<float>(f.lo), static_cast<float>(f.hi)};
  if (f.offset) return SuperBlock<true, UniformLevels>(f, importance, levels, x, w).search();
  return SuperBlock<false, UniformLevels>(f, importance, levels, x, w).search();
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
