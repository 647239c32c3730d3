// Q4_K: 256 values in 144 bytes (4.5 bits a value), 8 groups of 32; value = d * scale * code - dmin * min.
//
//   byte 0..1     d, F16
//   byte 2..3     dmin, F16
//   byte 4..15    scales: 8 scales and 8 mins of 6 bits. For g < 4: scale g = low 6 bits of byte g, min g = low 6 bits
//   of
//                 byte g + 4. For g >= 4: low nibbles in byte g + 4 (scale low half, min high half), the upper two bits
//                 are the top bits of byte g - 4 (scale) and byte g (min)
//   byte 16..143  qs: pair p (64 values) has 32 bytes; its byte j holds the codes of value 64p + j (low nibble) and
//                 64p + 32 + j (high nibble)
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ4_K {
  static constexpr int kValues = 256;
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// Scale and min of group g, 0..63; Q5_K packs them the same way.
static inline void scale_min_k4(const uint8_t scales[12], int g, int& scale, int& min) {
  if (g < 4) {
    scale = scales[g] & 63;
    min = scales[g + 4] & 63;
  } else {
    scale = (scales[g + 4] & 15) | (scales[g - 4] >> 6) << 4;
    min = (scales[g + 4] >> 4) | (scales[g] >> 6) << 4;
  }
}

static inline void decode_q4_k(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ4_K, 256>(src, dst, n, [](const BlockQ4_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float dmin = f16_to_f32(b.dmin);
    for (int g = 0; g < 8; ++g) {
      int scale_code, min_code;
      scale_min_k4(b.scales, g, scale_code, min_code);
      const float scale = d * static_cast<float>(scale_code);
      const float min = dmin * static_cast<float>(min_code);
      const uint8_t* q = b.qs + 32 * (g / 2);
      const int shift = 4 * (g % 2);
      for (int j = 0; j < 32; ++j) y[32 * g + j] = scale * static_cast<float>(q[j] >> shift & 15) - min;
    }
  });
}

}  // namespace miao
