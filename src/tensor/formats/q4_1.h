// Q4_1: 32 values in 20 bytes (5 bits a value); value = d * code + m.
//
//   byte 0..1   d, F16
//   byte 2..3   m, F16
//   byte 4..19  qs: byte j holds the codes of value j (low nibble) and value j + 16 (high nibble)
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ4_1 {
  static constexpr int kValues = 32;
  uint16_t d;
  uint16_t m;
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

static inline void decode_q4_1(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ4_1, 32>(src, dst, n, [](const BlockQ4_1& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float m = f16_to_f32(b.m);
    for (int j = 0; j < 16; ++j) {
      y[j] = static_cast<float>(b.qs[j] & 15) * d + m;
      y[j + 16] = static_cast<float>(b.qs[j] >> 4) * d + m;
    }
  });
}

}  // namespace miao
