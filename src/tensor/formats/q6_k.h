// Q6_K: 256 values in 210 bytes (6.5625 bits a value), 16 groups of 16; value = d * scale * (code - 32).
//
//   byte 0..127    ql: half h (128 values) has 64 bytes; its byte j holds the low bits of value 128h + j (low nibble)
//                  and 128h + 64 + j (high nibble)
//   byte 128..191  qh: half h has 32 bytes; bits 2k, 2k+1 of its byte j are the upper bits of value 128h + 32k + j
//   byte 192..207  scales: byte g is the signed scale of group g
//   byte 208..209  d, F16
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ6_K {
  static constexpr int kValues = 256;
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};
static_assert(sizeof(BlockQ6_K) == 210);

static inline void decode_q6_k(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ6_K, 256>(src, dst, n, [](const BlockQ6_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(b.scales[g]);
      const int half = g / 8, k = g / 2 % 4, first = 16 * (g % 2);  // k: 32 values within the half
      const uint8_t* low = b.ql + 64 * half + 32 * (k % 2) + first;
      const uint8_t* high = b.qh + 32 * half + first;
      for (int j = 0; j < 16; ++j) {
        const int code = (low[j] >> (4 * (k / 2)) & 15) | (high[j] >> (2 * k) & 3) << 4;
        y[16 * g + j] = scale * static_cast<float>(code - 32);
      }
    }
  });
}

}  // namespace miao
