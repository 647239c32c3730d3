#include "compress/rounding/family.h"

#include <cfloat>

#include "compress/rounding/levels.h"
#include "compress/rounding/pack.h"
#include "tensor/formats/mxfp4.h"

namespace miao::compress {

namespace {

constexpr float kF16 = 65504.0f;
constexpr auto kF16Scale = Stored::f16;
constexpr auto kCodes = Stored::codes;

// A format without offset holds its largest value at the end of the range that is the longer one. With an F16 offset,
// the offset is the bound; with coded ones, the smallest value is -dmin * min_hi.
constexpr Family kFamilies[] = {
    // dtype, block, group, codes, table, offset, scale and its codes, mins, spread, largest
    {DType::q4_0, 32, 32, -8, 7, nullptr, false, kF16Scale, 0, 0, 0, Spread::row, 8 * kF16, pack_q4_0},
    {DType::q4_1, 32, 32, 0, 15, nullptr, true, kF16Scale, 0, 0, 0, Spread::row, kF16, pack_q4_1},
    {DType::q5_0, 32, 32, -16, 15, nullptr, false, kF16Scale, 0, 0, 0, Spread::row, 16 * kF16, pack_q5_0},
    {DType::q5_1, 32, 32, 0, 31, nullptr, true, kF16Scale, 0, 0, 0, Spread::row, kF16, pack_q5_1},
    {DType::q8_0, 32, 32, -127, 127, nullptr, false, kF16Scale, 0, 0, 0, Spread::row, 127 * kF16, pack_q8_0},
    {DType::q2_k, 256, 16, 0, 3, nullptr, true, kCodes, 0, 15, 15, Spread::block, 15 * kF16, pack_q2_k},
    {DType::q3_k, 256, 16, -4, 3, nullptr, false, kCodes, -32, 31, 0, Spread::twice_block, 128 * kF16, pack_q3_k},
    {DType::q4_k, 256, 32, 0, 15, nullptr, true, kCodes, 0, 63, 63, Spread::twice_block, 63 * kF16, pack_q4_k},
    {DType::q5_k, 256, 32, 0, 31, nullptr, true, kCodes, 0, 63, 63, Spread::twice_block, 63 * kF16, pack_q5_k},
    {DType::q6_k, 256, 16, -32, 31, nullptr, false, kCodes, -128, 127, 0, Spread::none, 4096 * kF16, pack_q6_k},
    {DType::iq4_nl, 32, 32, 0, 15, kIq4Values, false, kF16Scale, 0, 0, 0, Spread::twice_block, 127 * kF16, pack_iq4_nl},
    {DType::iq4_xs, 256, 32, 0, 15, kIq4Values, false, kCodes, -32, 31, 0, Spread::twice_block, 4064 * kF16,
     pack_iq4_xs},
    {DType::mxfp4, 32, 32, 0, 14, kMxfp4Ascending, false, Stored::power_of_two, 0, 0, 0, Spread::row, FLT_MAX,
     pack_mxfp4},
};

}  // namespace

const Family* family(DType dtype) {
  for (const Family& f : kFamilies) {
    if (f.dtype == dtype) return &f;
  }
  return nullptr;
}

void decode_scales(const Family& f, Scales& s) {
  const float d = f.stored == Stored::power_of_two ? half_scale_mxfp4(static_cast<uint8_t>(s.d)) : f16_to_f32(s.d);
  const float dmin = f.offset ? f16_to_f32(s.dmin) : 0;
  for (int g = 0; g < groups_of(f); ++g) {
    s.scale[g] = two_levels(f) ? d * static_cast<float>(s.scale_code[g]) : d;
    s.offset[g] = two_levels(f) ? -(dmin * static_cast<float>(s.min_code[g])) : dmin;
    if (!f.offset) s.offset[g] = 0;
  }
}

int nearest_code(const Family& f, const Scales& scales, int group, float x) {
  const float y = (x - scales.offset[group]) * reciprocal(scales.scale[group]);
  return with_levels(f, [&](const auto& levels) {
    float code[16];
    store(code, levels.code(splat(y)));
    return static_cast<int>(code[0]);
  });
}

void nearest_codes(const Family& f, const Scales& scales, const float* x, int8_t* codes) {
  with_levels(f, [&](const auto& levels) {
    for (int g = 0; g < groups_of(f); ++g) {
      const Vec inverse = splat(reciprocal(scales.scale[g])), offset = splat(scales.offset[g]);
      for (int i = g * f.group; i < (g + 1) * f.group; i += 16) {
        float code[16];
        store(code, levels.code((load(x + i) - offset) * inverse));
        for (int lane = 0; lane < 16; ++lane) codes[i + lane] = static_cast<int8_t>(code[lane]);
      }
    }
  });
}

}  // namespace miao::compress
