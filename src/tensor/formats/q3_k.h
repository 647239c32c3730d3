// Q3_K: 256 values in 110 bytes (3.4375 bits a value), 16 groups of 16; value = d * (scale - 32) * (code - 4).
//
//   byte 0..31     hmask: bit 4h + k of byte j is the third bit of the code of value 128h + 32k + j
//   byte 32..95    qs: half h (128 values) has 32 bytes; bits 2k, 2k+1 of its byte j are the low bits of value 128h +
//   32k + j byte 96..107   scales: 16 scales of 6 bits. Bytes 0..7 hold the low nibbles (scale g in the low half of
//   byte g,
//                  scale g + 8 in the high half); bits 2i, 2i+1 of byte 8 + j are the upper bits of scale 4i + j
//   byte 108..109  d, F16
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ3_K {
  static constexpr int kValues = 256;
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};
static_assert(sizeof(BlockQ3_K) == 110);

// The scale of group g, -32..31.
static inline int scale_q3_k(const uint8_t scales[12], int g) {
  const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
  const int high = scales[8 + g % 4] >> (2 * (g / 4)) & 3;
  return (low | high << 4) - 32;
}

static inline void decode_q3_k(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ3_K, 256>(src, dst, n, [](const BlockQ3_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(scale_q3_k(b.scales, g));
      const uint8_t* q = b.qs + 32 * (g / 8) + 16 * (g % 2);
      const uint8_t* high = b.hmask + 16 * (g % 2);
      const int shift = 2 * (g / 2 % 4);
      for (int j = 0; j < 16; ++j) {
        const int code = (q[j] >> shift & 3) | (high[j] >> (g / 2) & 1) << 2;
        y[16 * g + j] = scale * static_cast<float>(code - 4);
      }
    }
  });
}

}  // namespace miao
