// Q2_K: 256 values in 84 bytes (2.625 bits a value), 16 groups of 16; value = d * scale * code - dmin * min.
//
//   byte 0..15   scales: byte g holds scale (low nibble) and min (high nibble) of group g
//   byte 16..79  qs: half h (128 values) has 32 bytes; bits 2k, 2k+1 of its byte j are the code of value 128h + 32k + j
//   byte 80..81  d, F16
//   byte 82..83  dmin, F16
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ2_K {
  static constexpr int kValues = 256;
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d;
  uint16_t dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

static inline void decode_q2_k(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ2_K, 256>(src, dst, n, [](const BlockQ2_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float dmin = f16_to_f32(b.dmin);
    for (int g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(b.scales[g] & 15);
      const float min = dmin * static_cast<float>(b.scales[g] >> 4);
      const uint8_t* q = b.qs + 32 * (g / 8) + 16 * (g % 2);
      const int shift = 2 * (g / 2 % 4);
      for (int j = 0; j < 16; ++j) y[16 * g + j] = scale * static_cast<float>(q[j] >> shift & 3) - min;
    }
  });
}

}  // namespace miao
