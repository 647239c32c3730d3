// Q4_0: 32 values in 18 bytes (4.5 bits a value); value = d * (code - 8).
//
//   byte 0..1   d, F16
//   byte 2..17  qs: byte j holds the codes of value j (low nibble) and value j + 16 (high nibble)
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ4_0 {
  static constexpr int kValues = 32;
  uint16_t d;
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

static inline void decode_q4_0(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ4_0, 32>(src, dst, n, [](const BlockQ4_0& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int j = 0; j < 16; ++j) {
      y[j] = static_cast<float>((b.qs[j] & 15) - 8) * d;
      y[j + 16] = static_cast<float>((b.qs[j] >> 4) - 8) * d;
    }
  });
}

}  // namespace miao
