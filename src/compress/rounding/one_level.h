// The search for the scale (and offset) of blocks that are one group; search.h has the outline.
#pragma once

#include "compress/rounding/fit.h"
#include "compress/rounding/grids.h"
#include "compress/rounding/levels.h"
#include "compress/rounding/reference.h"
#include "compress/rounding/search.h"

namespace miao::compress {
inline namespace MIAO_LANES {

// Next F16 number up or down in magnitude, as from there 0.6 of a step leads to it.
static inline Half f16_step(Half v, float by) {
  const Half size = magnitude(v);
  const Half step = greater(size * splat<Half>(0.6f / 1024), splat<Half>(0.6f / 16777216));
  const Half next = greater(snap_f16(size + splat<Half>(by) * step), splat<Half>(0));
  return if_less(v, splat<Half>(0), splat<Half>(0) - next, next);
}

// F16 neighbours of the best scales, while they help.
template <bool with_offset, class Levels>
static void climb(const Levels& levels, const Bundle& b, Fit<Half>& best) {
  for (const float by : {-1.0f, 1.0f}) {
    for (int step = 0; step < 3; ++step) {
      const Half before = best.error;
      Fit<Half> next = {f16_step(best.scale, by), best.offset, splat<Half>(0)};
      Sums<Half> m = measure<with_offset>(levels, b, b.n, next.scale, next.offset);
      if (with_offset) {
        next.offset = snap_f16(next.offset + m.r / b.weight);
        m = measure<with_offset>(levels, b, b.n, next.scale, next.offset);
      }
      next.error = m.error;
      keep_better(best, next);
      if (!any_less(best.error, before)) break;
    }
  }
}

template <class Levels>
static Fit<Half> search_one_level(const Levels& levels, const Bundle& b, const Search& search,
                                  const Fit<Half>& reference) {
  Shortlist list;
  search_scale(levels, b, search, list);
  Fit<Half> best = {splat<Half>(0), splat<Half>(0), b.energy};
  for (int i = 0; i < search.keep; ++i) settle<false>(levels, b, search, list.fits[i], best);
  settle<false>(levels, b, search, reference, best);
  climb<false>(levels, b, best);
  return best;
}

static Fit<Half> search_one_level_with_offset(const UniformLevels& levels, const Bundle& b, const Search& search,
                                              const Fit<Half>& reference) {
  Shortlist list;
  offer_line(levels, b, search, reference.scale, reference.offset, list);
  search_line(levels, b, search, list);
  const Half none = splat<Half>(3.3e38f);
  Fit<Half> best = {splat<Half>(0), snap_f16(b.sum / b.weight), none};
  best.error = measure<true>(levels, b, b.n, best.scale, best.offset).error;
  settle<true>(levels, b, search, reference, best);
  for (int i = 0; i < search.keep; ++i) {
    Fit<Half> fit = {splat<Half>(0), splat<Half>(0), none};
    settle<true>(levels, b, search, list.fits[i], fit);
    move_ends(levels, b, search, fit);
    keep_better(best, fit);
  }
  climb<true>(levels, b, best);
  return best;
}

// Takes the reference where it is better after all.
static void decide_ties(const Family& f, const float* x, const float* w, const Bundle& b, Half best, Half reference,
                        const Scales* references, int blocks, Scales* out) {
  float error[kLanes], other[kLanes], energy[kLanes];
  store(error, best);
  store(other, reference);
  store(energy, b.energy);
  for (int i = 0; i < blocks; ++i, x += f.block, w += f.block) {
    if (out[i].d == references[i].d && out[i].dmin == references[i].dmin) continue;
    if (!may_tie(error[i], other[i], energy[i])) continue;
    if (block_error(f, references[i], x, w) < block_error(f, out[i], x, w)) out[i] = references[i];
  }
}

// MXFP4: exponents near that for which the largest value is at most one and a third times the highest level; the first
// is llama.cpp's. There are no scales between, so nothing is left to improve.
static void search_exponents(const Family& f, const float* x, const float* w, const Bundle& b, int blocks,
                             Scales* out) {
  Scales references[kLanes];
  Half reference = splat<Half>(0);
  float largest[kLanes], best[kLanes] = {};
  int first[kLanes];
  store(largest, greater(b.high, splat<Half>(0) - b.low));
  for (int i = 0; i < blocks; ++i) first[i] = largest[i] > 0 ? __builtin_ilogbf(largest[i]) - 2 + 127 : 0;
  for (const int by : {0, 1, -1, -2}) {
    Scales next[kLanes];
    float scale[kLanes] = {}, error[kLanes];
    for (int i = 0; i < blocks; ++i) {
      next[i].d = static_cast<uint16_t>(lesser(greater(first[i] + (largest[i] > 0 ? by : 0), 0), 254));
      decode_scales(f, next[i]);
      scale[i] = next[i].scale[0];
    }
    const Half measured = measure<false>(kMxfp4Levels, b, b.n, load<Half>(scale), splat<Half>(0)).error;
    store(error, measured);
    if (by == 0) reference = measured;
    for (int i = 0; i < blocks; ++i) {
      if (by == 0) references[i] = next[i];
      if (by != 0 && !(error[i] < best[i])) continue;
      best[i] = error[i];
      out[i] = next[i];
    }
  }
  decide_ties(f, x, w, b, load<Half>(best), reference, references, blocks, out);
}

// `blocks` blocks, at most eight; theirs: as for reference_one_level.
static void search_one_level(const Family& f, const float* x, const float* w, const float* theirs, int blocks,
                             Scales* out) {
  Bundle b;
  make_bundle(x, w, f.block, blocks, b);
  if (f.stored == Stored::power_of_two) return search_exponents(f, x, w, b, blocks, out);
  Scales references[kLanes];
  reference_one_level(f, b, x, theirs, blocks, references);
  const Search search = search_of(f);
  const UniformLevels uniform = {static_cast<float>(f.lo), static_cast<float>(f.hi)};
  float scale[kLanes] = {}, offset[kLanes] = {};
  for (int i = 0; i < blocks; ++i) {
    scale[i] = f16_to_f32(references[i].d);
    offset[i] = f16_to_f32(references[i].dmin);
  }
  Fit<Half> reference = {load<Half>(scale), load<Half>(offset), splat<Half>(0)};
  reference.error = f.table    ? measure<false>(kIq4Levels, b, b.n, reference.scale, reference.offset).error
                    : f.offset ? measure<true>(uniform, b, b.n, reference.scale, reference.offset).error
                               : measure<false>(uniform, b, b.n, reference.scale, reference.offset).error;
  const Fit<Half> best = f.table    ? search_one_level(kIq4Levels, b, search, reference)
                         : f.offset ? search_one_level_with_offset(uniform, b, search, reference)
                                    : search_one_level(uniform, b, search, reference);
  store(scale, best.scale);
  store(offset, best.offset);
  for (int i = 0; i < blocks; ++i) {
    out[i].d = f32_to_f16(scale[i]);
    if (f.offset) out[i].dmin = f32_to_f16(offset[i]);
  }
  decide_ties(f, x, w, b, best.error, reference.error, references, blocks, out);
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
