// Q5_K: 256 values in 176 bytes (5.5 bits a value), 8 groups of 32; value = d * scale * code - dmin * min.
//
//   byte 0..1     d, F16
//   byte 2..3     dmin, F16
//   byte 4..15    scales: as in Q4_K
//   byte 16..47   qh: bit g of byte j is the fifth bit of value 32g + j
//   byte 48..175  qs: pair p (64 values) has 32 bytes; its byte j holds the low bits of value 64p + j (low nibble) and
//                 64p + 32 + j (high nibble)
#pragma once

#include "tensor/formats/q4_k.h"

namespace miao {

struct BlockQ5_K {
  static constexpr int kValues = 256;
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

static inline void decode_q5_k(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ5_K, 256>(src, dst, n, [](const BlockQ5_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float dmin = f16_to_f32(b.dmin);
    for (int g = 0; g < 8; ++g) {
      int scale_code, min_code;
      scale_min_k4(b.scales, g, scale_code, min_code);
      const float scale = d * static_cast<float>(scale_code);
      const float min = dmin * static_cast<float>(min_code);
      const uint8_t* q = b.qs + 32 * (g / 2);
      const int shift = 4 * (g % 2);
      for (int j = 0; j < 32; ++j) {
        const int code = (q[j] >> shift & 15) | (b.qh[j] >> g & 1) << 4;
        y[32 * g + j] = scale * static_cast<float>(code) - min;
      }
    }
  });
}

}  // namespace miao
