#include "compress/rounding/plain.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "compress/rounding/lanes.h"
#include "tensor/formats/mxfp4.h"

namespace miao::compress {

namespace {

struct Range {
  float low, high;
  float extreme;  // the first value of the largest magnitude; +0 where all are zeros of any sign
};

Range range_of(const float* x, int n) {
  Range r = {x[0], x[0], 0};
  for (int i = 1; i < n; ++i) {
    r.low = std::min(r.low, x[i]);
    r.high = std::max(r.high, x[i]);
  }
  const float largest = std::max(r.high, -r.low);
  for (int i = 0; i < n && r.extreme == 0; ++i) {
    if (std::fabs(x[i]) == largest && largest > 0) r.extreme = x[i];
  }
  return r;
}

// 0 where the scale is too small for an inverse: it is 0 as F16, and all codes mean 0.
float inverse(float d) { return std::fabs(d) < FLT_MIN ? 0 : 1 / d; }

uint16_t finite_f16(float v) { return f32_to_f16(std::min(std::max(v, -65504.0f), 65504.0f)); }

// Q8_0 rounds halves away from zero.
void codes_q8_0(const float* x, float inverse_d, int8_t* codes) {
  for (int i = 0; i < 32; ++i) {
    const float y = x[i] * inverse_d, even = round_even(y), rest = y - even;
    const float away = rest == 0.5f && y > 0 ? even + 1 : rest == -0.5f && y < 0 ? even - 1 : even;
    codes[i] = static_cast<int8_t>(away);
  }
}

// Q4_0, Q4_1, Q5_0, Q5_1: half a step up, and cut.
void codes_cut(const Family& f, const float* x, float low, float inverse_d, int8_t* codes) {
  const float half = 0.5f - static_cast<float>(f.lo);
  for (int i = 0; i < f.block; ++i) {
    const int index = static_cast<int>((x[i] - low) * inverse_d + half);
    codes[i] = static_cast<int8_t>(std::min(index, f.hi - f.lo) + f.lo);
  }
}

void plain_mxfp4(const Family& f, const float* x, const Range& r, Scales& s, int8_t* codes) {
  const float largest = std::max(r.high, -r.low);
  s.d = largest > 0 ? static_cast<uint16_t>(std::max(std::floor(std::log2(largest)) - 2 + 127, 0.0f)) : 0;
  decode_scales(f, s);
  for (int i = 0; i < f.block; ++i) {
    const float y = std::fabs(x[i]) / s.scale[0];
    int magnitude = 0;  // of two levels equally near, the smaller
    for (int k = 0; k < 7; ++k) magnitude += y > 0.5f * static_cast<float>(kMxfp4Values[k] + kMxfp4Values[k + 1]);
    codes[i] = static_cast<int8_t>(x[i] < 0 ? 7 - magnitude : 7 + magnitude);
  }
}

void plain_one_level(const Family& f, const float* x, Scales& s, int8_t* codes) {
  const Range r = range_of(x, f.block);
  if (f.stored == Stored::power_of_two) return plain_mxfp4(f, x, r, s, codes);
  const float low = f.offset ? r.low : 0;
  const float d = f.offset                 ? (r.high - r.low) / static_cast<float>(f.hi)
                  : f.dtype == DType::q8_0 ? std::fabs(r.extreme) / static_cast<float>(f.hi)
                                           : r.extreme / level_of(f, f.lo);
  s.d = finite_f16(d);
  s.dmin = f.offset ? finite_f16(low) : 0;
  decode_scales(f, s);
  if (f.table) return nearest_codes(f, s, x, codes);
  if (f.dtype == DType::q8_0) return codes_q8_0(x, inverse(d), codes);
  codes_cut(f, x, low, inverse(d), codes);
}

void plain_two_levels(const Family& f, const float* x, Scales& s) {
  float scale[kMaxGroups], min[kMaxGroups], top = 0, top_min = 0;
  for (int g = 0; g < groups_of(f); ++g) {
    const Range r = range_of(x + g * f.group, f.group);
    const float low = std::min(r.low, 0.0f);
    scale[g] = f.offset ? (r.high - low) / static_cast<float>(f.hi) : r.extreme / level_of(f, f.lo);
    min[g] = -low;
    if (std::fabs(scale[g]) > std::fabs(top)) top = scale[g];
    top_min = std::max(top_min, min[g]);
  }
  s.d = finite_f16(top / static_cast<float>(f.scale_lo < 0 ? f.scale_lo : f.scale_hi));
  if (f.offset) s.dmin = finite_f16(top_min / static_cast<float>(f.min_hi));
  const float inverse_d = reciprocal(f16_to_f32(s.d)), inverse_dmin = reciprocal(f16_to_f32(s.dmin));
  for (int g = 0; g < groups_of(f); ++g) {
    const float code =
        std::min(std::max(scale[g] * inverse_d, static_cast<float>(f.scale_lo)), static_cast<float>(f.scale_hi));
    s.scale_code[g] = static_cast<int8_t>(round_even(code));
    if (f.offset)
      s.min_code[g] = static_cast<uint8_t>(round_even(std::min(min[g] * inverse_dmin, static_cast<float>(f.min_hi))));
  }
}

}  // namespace

void encode_plain(const Family& f, const float* x, Scales& s, int8_t* codes) {
  if (!two_levels(f)) return plain_one_level(f, x, s, codes);
  plain_two_levels(f, x, s);
  decode_scales(f, s);
  nearest_codes(f, s, x, codes);
}

}  // namespace miao::compress
