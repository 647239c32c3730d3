// The search for the scales of a super-block: d (and dmin) of the block, small integer codes of each group; search.h
// has the outline.
#pragma once

#include "compress/rounding/fit.h"
#include "compress/rounding/grids.h"
#include "compress/rounding/levels.h"

namespace miao::compress {
inline namespace MIAO_LANES {

constexpr int kTurns = 6;

// Sixteen or 32 values of one group, whose sums go over lanes.
struct Group {
  const float* x;
  const float* w;
  int n;
};

template <bool with_offset, class Levels>
static inline Sums<float> measure(const Levels& levels, const Group& g, float scale, float offset) {
  const Vec s = splat(scale), inverse = splat(reciprocal(scale)), o = splat(offset);
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

// One block under search; with_offset: Q2_K, Q4_K, Q5_K, whose codes of scales and offsets are not negative.
template <bool with_offset, class Levels>
class SuperBlock {
 public:
  SuperBlock(const Family& f, const Levels& levels, const float* x, const float* w)
      : f_(f), levels_(levels), groups_(groups_of(f)), search_(search_of(f)) {
    for (int g = 0; g < groups_; ++g) group_[g] = {x + g * f.group, w + g * f.group, f.group};
    for (int g = 0; g < groups_; g += kLanes) fit_groups(g);
  }

  // The best scales; `reference` is among the starts.
  Scales search(const Scales& reference) {
    State best = starts(reference);
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
    float values[2 * Shortlist::kSize] = {};
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
    Sums<float> sums[kMaxGroups] = {};
    float error = 0;
  };

  // A scale and offset that suit a group by itself; q: sum of w q there, by which the best offset follows the scale.
  struct Ideal {
    float scale, offset, q;
  };

  // The best few of eight groups, which may lie far apart (values near one size suit many scales), and what changes
  // cost.
  void fit_groups(int first) {
    Bundle b;
    make_bundle(group_[first].x, group_[first].w, f_.group, kLanes, b);
    Shortlist list;
    Half extreme;
    if constexpr (with_offset) {
      search_line(levels_, b, search_, list);
      extreme = (b.high - lesser(b.low, splat<Half>(0))) / splat<Half>(levels_.hi);
    } else {
      search_scale(levels_, b, search_, list);
      extreme = if_less(b.high, splat<Half>(0) - b.low, b.low, b.high) / splat<Half>(levels_.lo);
    }
    store(plain_scale_ + first, extreme);
    store(plain_min_ + first, splat<Half>(0) - lesser(b.low, splat<Half>(0)));
    store(weight_ + first, b.weight);
    for (int k = 0; k < search_.keep; ++k) {
      Fit<Half> fit = {splat<Half>(0), splat<Half>(0), splat<Half>(3.3e38f)};
      settle<with_offset>(levels_, b, search_, list.fits[k], fit);
      if constexpr (with_offset) {
        if (k == 0) move_ends(levels_, b, search_, fit);
        fit.scale = greater(fit.scale, splat<Half>(0));
      }
      const Sums<Half> m = measure<with_offset>(levels_, b, b.n, fit.scale, fit.offset);
      store(ideal_[k].scale + first, fit.scale);
      store(ideal_[k].offset + first, fit.offset);
      store(ideal_[k].q + first, m.q);
      if (k > 0) continue;
      store(ideal_min_ + first, splat<Half>(0) - fit.offset);
      // With an offset, as if it followed the scale: the codes of both are chosen together.
      Half cost = m.qq;
      if (with_offset)
        cost = if_less(splat<Half>(0), b.weight, greater(cost - m.q * m.q / b.weight, splat<Half>(1e-9f) * cost), cost);
      store(scale_cost_ + first, cost);
    }
  }

  // d for which (integer codes) * d is near the ideal numbers, by what the difference costs: the best few of some that
  // are tried side by side, each with the scale of least squares.
  void fit_codes(const float* ideal, const float* cost, int lo, int hi, Starts& out, int count) const {
    const UniformLevels codes = {static_cast<float>(lo), static_cast<float>(hi)};
    float extreme = 0;
    for (int g = 0; g < groups_; ++g) extreme = magnitude(ideal[g]) > magnitude(extreme) ? ideal[g] : extreme;
    if (extreme == 0) return out.add(0);
    Bundle b;
    b.n = groups_;
    for (int g = 0; g < groups_; ++g) {
      put(b.x, g, splat<Half>(ideal[g]));
      put(b.w, g, splat<Half>(cost[g]));
    }
    Search plain = search_;
    plain.snap = Snap::none;
    Shortlist list;
    const auto attempt = [&](Half end) {
      Fit<Half> fit = {splat<Half>(0), splat<Half>(0), splat<Half>(3.3e38f)};
      settle<false>(codes, b, plain, {splat<Half>(extreme) / end, splat<Half>(0), splat<Half>(0)}, fit);
      list.offer(fit);
    };
    alignas(32) float steps[kLanes];
    for (const float side : {codes.hi, codes.lo}) {
      for (int i = 0; i < 3 && side != 0; ++i) {
        for (int lane = 0; lane < kLanes; ++lane) steps[lane] = 0.08f * static_cast<float>(i * kLanes + lane - 11);
        attempt(splat<Half>(side) + load<Half>(steps));
      }
    }
    for (int k = 1; k < hi; k += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) steps[lane] = static_cast<float>(k + lane);
      attempt(load<Half>(steps));
    }
    best_of_lanes(list, out, count);
  }

  // The best `count` different ones of all lanes.
  static void best_of_lanes(const Shortlist& list, Starts& out, int count) {
    float scale[Shortlist::kSize][kLanes], error[Shortlist::kSize][kLanes];
    for (int k = 0; k < Shortlist::kSize; ++k) {
      store(scale[k], list.fits[k].scale);
      store(error[k], list.fits[k].error);
    }
    for (float bar = -1; count > 0; --count) {
      float least = 3e38f, at = 0;
      for (int k = 0; k < Shortlist::kSize; ++k) {
        for (int lane = 0; lane < kLanes; ++lane) {
          if (!(error[k][lane] < least && error[k][lane] > bar * (1 + 1e-5f))) continue;
          least = error[k][lane];
          at = scale[k][lane];
        }
      }
      if (least == 3e38f) break;
      out.add(snap_f16(at));
      bar = least;
    }
  }

  // The best state of those that d and dmin from fit_codes lead to, of llama.cpp's, and of that without a search.
  State starts(const Scales& reference) const {
    Starts d, dmin;
    fit_codes(ideal_[0].scale, scale_cost_, f_.scale_lo, f_.scale_hi, d, search_.keep);
    fit_codes(ideal_[0].scale, weight_, f_.scale_lo, f_.scale_hi, d, 1);
    if (with_offset) fit_codes(ideal_min_, weight_, 0, f_.min_hi, dmin, search_.keep);
    State best = coded_reference(reference);
    for (int i = 0; i < d.count; ++i) keep_better(best, choose_codes(d.values[i], dmin.values[0]));
    for (int i = 1; i < dmin.count; ++i) keep_better(best, choose_codes(best.d, dmin.values[i]));
    State plain;
    plain.d = last_code(plain_scale_, f_.scale_lo, f_.scale_hi, plain.scale);
    if (with_offset) plain.dmin = last_code(plain_min_, 0, f_.min_hi, plain.min);
    measure_all(plain);
    keep_better(best, plain);
    return best;
  }

  State coded_reference(const Scales& reference) const {
    State s;
    s.d = f16_to_f32(reference.d);
    s.dmin = f16_to_f32(reference.dmin);
    for (int g = 0; g < groups_; ++g) {
      s.scale[g] = reference.scale_code[g];
      s.min[g] = reference.min_code[g];
    }
    measure_all(s);
    return s;
  }

  // Codes of numbers such that the largest has the last, and the F16 number that they are multiplied with.
  float last_code(const float* numbers, int lo, int hi, int* codes) const {
    float extreme = 0;
    for (int g = 0; g < groups_; ++g) extreme = magnitude(numbers[g]) > magnitude(extreme) ? numbers[g] : extreme;
    const float d = snap_f16(extreme / static_cast<float>(lo < 0 ? lo : hi));
    for (int g = 0; g < groups_; ++g) codes[g] = to_code(numbers[g], d, lo, hi);
    return d;
  }

  void measure_all(State& s) const {
    for (int g = 0; g < groups_; ++g) s.sums[g] = measure_group(g, s, s.scale[g], s.min[g]);
    s.error = total(s);
  }

  // The reference may be infinite or NaN.
  static void keep_better(State& best, const State& next) {
    if (next.error < best.error || !(best.error <= 3e38f)) best = next;
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

  Sums<float> measure_group(int g, const State& s, int scale, int min) const {
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
      for (int i = 0; i < search_.keep; ++i) {
        const Ideal ideal = {ideal_[i].scale[g], ideal_[i].offset[g], ideal_[i].q[g]};
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
    const Sums<float> m = measure_group(g, s, code, min);
    if (s.sums[g].error < 0 || m.error < s.sums[g].error) take(s, g, code, min, m);
  }

  static void take(State& s, int g, int scale, int min, const Sums<float>& m) {
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
      const Sums<float>& m = best.sums[g];
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
    measure_all(next);
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
        const Sums<float> m = measure_group(g, s, s.scale[g], min);
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
    const Sums<float> m = measure_group(g, s, code, min);
    if (m.error < s.sums[g].error) take(s, g, code, min, m);
  }

  const Family& f_;
  const Levels& levels_;
  const int groups_;
  Group group_[kMaxGroups];
  const Search search_;
  float plain_scale_[kMaxGroups] = {}, plain_min_[kMaxGroups] = {};  // from the range of values
  float ideal_min_[kMaxGroups] = {}, scale_cost_[kMaxGroups] = {}, weight_[kMaxGroups] = {};
  struct Ideals {
    float scale[kMaxGroups], offset[kMaxGroups], q[kMaxGroups];
  };
  Ideals ideal_[Shortlist::kSize];
};

static Scales search_two_levels(const Family& f, const float* x, const float* w, const Scales& reference) {
  if (f.table) return SuperBlock<false, TableLevels<16>>(f, kIq4Levels, x, w).search(reference);
  const UniformLevels levels = {static_cast<float>(f.lo), static_cast<float>(f.hi)};
  if (f.offset) return SuperBlock<true, UniformLevels>(f, levels, x, w).search(reference);
  return SuperBlock<false, UniformLevels>(f, levels, x, w).search(reference);
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
