// The search for the scales of a super-block: d (and dmin) of the block, small integer codes of each group; search.h
// has the outline.
#pragma once

#include "compress/rounding/fit.h"
#include "compress/rounding/grids.h"
#include "compress/rounding/levels.h"
#include "compress/rounding/search.h"

namespace miao::compress {
inline namespace MIAO_LANES {

constexpr int kTurns = 6, kHalves = kMaxGroups / kLanes;

// One block under search; with_offset: Q2_K, Q4_K, Q5_K, whose codes of scales and offsets are not negative.
template <bool with_offset, class Levels>
class SuperBlock {
 public:
  SuperBlock(const Family& f, const Levels& levels, const float* x, const float* w)
      : f_(f), levels_(levels), groups_(groups_of(f)), search_(search_of(f)) {
    for (int h = 0; h < groups_ / kLanes; ++h) {
      make_bundle(x + h * kLanes * f.group, w + h * kLanes * f.group, f.group, kLanes, bundle_[h]);
      fit_groups(h);
    }
  }

  // The best scales; `reference` is among the starts.
  Scales search(const float* x, const float* w, const Scales& reference) {
    const State theirs = coded_reference(reference);
    State best = starts(theirs);
    for (int turn = 0; turn < kTurns; ++turn) {
      const float before = best.error;
      if (refit_block(best)) refit_block(best);
      step_codes(best);
      if (!(best.error < before * (1 - 5e-4f))) break;
    }
    Scales out;
    out.d = f32_to_f16(best.d);
    out.dmin = f32_to_f16(best.dmin);
    float scale[kMaxGroups] = {}, min[kMaxGroups] = {};
    for (int h = 0; h < halves(); ++h) {
      store(scale + h * kLanes, best.scale[h]);
      store(min + h * kLanes, best.min[h]);
    }
    for (int g = 0; g < groups_; ++g) {
      out.scale_code[g] = static_cast<int8_t>(scale[g]);
      out.min_code[g] = static_cast<uint8_t>(min[g]);
    }
    float energy = 0;
    for (int h = 0; h < halves(); ++h) energy += total(bundle_[h].energy);
    const bool tie = may_tie(best.error, theirs.error, energy);
    return tie && block_error(f_, reference, x, w) < block_error(f_, out, x, w) ? reference : out;
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
    float d = 0, dmin = 0;                        // F16 numbers
    Half scale[kHalves] = {}, min[kHalves] = {};  // codes
    Sums<Half> sums[kHalves] = {};
    float error = 0;
  };

  // Scales and offsets that suit groups by themselves; q: sums of w q there, by which the best offset follows the
  // scale.
  struct Ideal {
    Half scale, offset, q;
  };

  int halves() const { return groups_ / kLanes; }

  // The best few of eight groups, which may lie far apart (values near one size suit many scales), and what changes
  // cost.
  void fit_groups(int h) {
    const Bundle& b = bundle_[h];
    const int first = h * kLanes;
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
  State starts(const State& theirs) const {
    Starts d, dmin;
    fit_codes(ideal_[0].scale, scale_cost_, f_.scale_lo, f_.scale_hi, d, search_.keep);
    fit_codes(ideal_[0].scale, weight_, f_.scale_lo, f_.scale_hi, d, 1);
    if (with_offset) fit_codes(ideal_min_, weight_, 0, f_.min_hi, dmin, search_.keep);
    State best = theirs;
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
    float scale[kMaxGroups], min[kMaxGroups];
    for (int g = 0; g < kMaxGroups; ++g) {
      scale[g] = static_cast<float>(reference.scale_code[g]);
      min[g] = static_cast<float>(reference.min_code[g]);
    }
    for (int h = 0; h < halves(); ++h) {
      s.scale[h] = load<Half>(scale + h * kLanes);
      s.min[h] = load<Half>(min + h * kLanes);
    }
    measure_all(s);
    return s;
  }

  // Codes of numbers such that the largest has the last, and the F16 number that they are multiplied with.
  float last_code(const float* numbers, int lo, int hi, Half* codes) const {
    float extreme = 0;
    for (int g = 0; g < groups_; ++g) extreme = magnitude(numbers[g]) > magnitude(extreme) ? numbers[g] : extreme;
    const float d = snap_f16(extreme / static_cast<float>(lo < 0 ? lo : hi));
    for (int h = 0; h < halves(); ++h) codes[h] = to_code(load<Half>(numbers + h * kLanes), d, lo, hi);
    return d;
  }

  // The reference may be infinite or NaN.
  static void keep_better(State& best, const State& next) {
    if (next.error < best.error || !(best.error <= 3e38f)) best = next;
  }

  static Half to_code(Half value, float d, int lo, int hi) {
    const UniformLevels codes = {static_cast<float>(lo), static_cast<float>(hi)};
    return codes(value * splat<Half>(reciprocal(d)));
  }
  Half within(Half code) const {
    return lesser(greater(code, splat<Half>(static_cast<float>(f_.scale_lo))),
                  splat<Half>(static_cast<float>(f_.scale_hi)));
  }

  // The offset code that goes best with a scale, for the codes of values that are nearest at another scale and
  // `offset`.
  Half min_for(int h, Half change_of_scale, Half q, Half offset, float dmin) const {
    const Half zero = splat<Half>(0), weight = bundle_[h].weight;
    const Half shift = if_less(zero, weight, q / weight * change_of_scale, zero);
    return to_code(shift - offset, dmin, 0, f_.min_hi);
  }

  Sums<Half> measure_groups(int h, const State& s, Half scale, Half min) const {
    const Bundle& b = bundle_[h];
    return measure<with_offset>(levels_, b, b.n, splat<Half>(s.d) * scale, splat<Half>(0) - splat<Half>(s.dmin) * min);
  }

  void measure_all(State& s) const {
    for (int h = 0; h < halves(); ++h) s.sums[h] = measure_groups(h, s, s.scale[h], s.min[h]);
    s.error = total(s);
  }

  // Codes of all groups for given d and dmin: of those near the ideal scales, the best.
  State choose_codes(float d, float dmin) const {
    State s;
    s.d = d;
    s.dmin = dmin;
    const Half one = splat<Half>(1);
    for (int h = 0; h < halves(); ++h) {
      s.sums[h].error = splat<Half>(3.3e38f);
      for (int i = 0; i < search_.keep; ++i) {
        const int first = h * kLanes;
        const Ideal ideal = {load<Half>(ideal_[i].scale + first), load<Half>(ideal_[i].offset + first),
                             load<Half>(ideal_[i].q + first)};
        const Half near = to_code(ideal.scale, d, f_.scale_lo, f_.scale_hi);
        try_ideal(s, h, near, ideal);
        const Half exact = ideal.scale * splat<Half>(reciprocal(d));
        if (i == 0) try_ideal(s, h, within(near + if_less(near, exact, one, splat<Half>(-1))), ideal);
      }
    }
    s.error = total(s);
    return s;
  }

  void try_ideal(State& s, int h, Half code, const Ideal& ideal) const {
    const Half change = splat<Half>(s.d) * code - ideal.scale;
    const Half min = with_offset ? min_for(h, change, ideal.q, ideal.offset, s.dmin) : splat<Half>(0);
    take_better(s, h, code, min);
  }

  void take_better(State& s, int h, Half scale, Half min) const {
    const Sums<Half> m = measure_groups(h, s, scale, min);
    Sums<Half>& old = s.sums[h];
    const Half before = old.error;
    if (!any_less(m.error, before)) return;
    const auto pick = [&](Half next, Half now) { return if_less(m.error, before, next, now); };
    s.scale[h] = pick(scale, s.scale[h]);
    s.min[h] = pick(min, s.min[h]);
    old = {pick(m.error, old.error), pick(m.rq, old.rq), pick(m.qq, old.qq), pick(m.r, old.r), pick(m.q, old.q)};
  }

  static float total(Half v) {
    float lanes[kLanes], sum = 0;
    store(lanes, v);
    for (const float lane : lanes) sum += lane;
    return sum;
  }
  float total(const State& s) const {
    float sum = 0;
    for (int h = 0; h < halves(); ++h) sum += total(s.sums[h].error);
    return sum;
  }

  // d and dmin by least squares with all codes fixed; true if that lowers the error.
  bool refit_block(State& best) const {
    const Half zero = splat<Half>(0);
    Half dds = zero, rds = zero, dms = zero, mms = zero, rms = zero;
    for (int h = 0; h < halves(); ++h) {
      const Half scale = best.scale[h], min = zero - best.min[h];
      const Sums<Half>& m = best.sums[h];
      dds = dds + scale * scale * m.qq;
      rds = rds + scale * m.rq;
      dms = dms + scale * min * m.q;
      mms = mms + min * min * bundle_[h].weight;
      rms = rms + min * m.r;
    }
    const float dd = total(dds), rd = total(rds), dm = total(dms), mm = total(mms), rm = total(rms);
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
    const Half zero = splat<Half>(0);
    for (int h = 0; h < halves(); ++h) {
      const Half weight = bundle_[h].weight;
      for (const float by : {-1.0f, 1.0f}) {
        const Half code = within(s.scale[h] + splat<Half>(by));
        Half min = zero;
        if (with_offset) {
          const Half offset = zero - splat<Half>(s.dmin) * s.min[h] + if_less(zero, weight, s.sums[h].r / weight, zero);
          min = min_for(h, splat<Half>(s.d) * (code - s.scale[h]), s.sums[h].q, offset, s.dmin);
        }
        take_better(s, h, code, min);
      }
      for (const float by : {-1.0f, 1.0f}) {
        const Half min = lesser(greater(s.min[h] + splat<Half>(by), zero), splat<Half>(static_cast<float>(f_.min_hi)));
        if (with_offset) take_better(s, h, s.scale[h], min);
      }
    }
    s.error = total(s);
  }

  const Family& f_;
  const Levels& levels_;
  const int groups_;
  Bundle bundle_[kHalves];
  const Search search_;
  float plain_scale_[kMaxGroups] = {}, plain_min_[kMaxGroups] = {};  // from the range of values
  float ideal_min_[kMaxGroups] = {}, scale_cost_[kMaxGroups] = {}, weight_[kMaxGroups] = {};
  struct Ideals {
    float scale[kMaxGroups], offset[kMaxGroups], q[kMaxGroups];
  };
  Ideals ideal_[Shortlist::kSize];
};

static Scales search_two_levels(const Family& f, const float* x, const float* w, const Scales& reference) {
  if (f.table) return SuperBlock<false, TableLevels<16>>(f, kIq4Levels, x, w).search(x, w, reference);
  const UniformLevels levels = {static_cast<float>(f.lo), static_cast<float>(f.hi)};
  if (f.offset) return SuperBlock<true, UniformLevels>(f, levels, x, w).search(x, w, reference);
  return SuperBlock<false, UniformLevels>(f, levels, x, w).search(x, w, reference);
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
