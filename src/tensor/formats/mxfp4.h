// MXFP4 (OCP microscaling): 32 values in 17 bytes (4.25 bits a value); value = 2^(e - 127) * E2M1[code].
//
//   byte 0      e: power-of-two exponent, biased by 127 (E8M0; 255 is an ordinary exponent here, not NaN)
//   byte 1..16  qs: byte j holds the codes of value j (low nibble) and value j + 16 (high nibble)
//
// kMxfp4Values holds the E2M1 values doubled, so that they are integers; the scale is halved to match.
#pragma once

#include "tensor/formats/block.h"

namespace miao {

inline constexpr int8_t kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct BlockMXFP4 {
  static constexpr int kValues = 32;
  uint8_t e;
  uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// 2^(e - 128), subnormal below e = 2.
static inline float half_scale_mxfp4(uint8_t e) {
  const uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t{e} - 1) << 23;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

static inline void decode_mxfp4(const void* src, float* dst, int64_t n) {
  for_each_block<BlockMXFP4, 32>(src, dst, n, [](const BlockMXFP4& b, float* y) {
    const float d = half_scale_mxfp4(b.e);
    for (int j = 0; j < 16; ++j) {
      y[j] = static_cast<float>(kMxfp4Values[b.qs[j] & 15]) * d;
      y[j + 16] = static_cast<float>(kMxfp4Values[b.qs[j] >> 4]) * d;
    }
  });
}

}  // namespace miao
