// IQ4_NL: 32 values in 18 bytes (4.5 bits a value); value = d * kIq4Values[code], a table with steps that grow
// outwards.
//
//   byte 0..1   d, F16
//   byte 2..17  qs: byte j holds the codes of value j (low nibble) and value j + 16 (high nibble)
#pragma once

#include "tensor/formats/block.h"

namespace miao {

inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct BlockIQ4_NL {
  static constexpr int kValues = 32;
  uint16_t d;
  uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

static inline void decode_iq4_nl(const void* src, float* dst, int64_t n) {
  for_each_block<BlockIQ4_NL, 32>(src, dst, n, [](const BlockIQ4_NL& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int j = 0; j < 16; ++j) {
      y[j] = d * static_cast<float>(kIq4Values[b.qs[j] & 15]);
      y[j + 16] = d * static_cast<float>(kIq4Values[b.qs[j] >> 4]);
    }
  });
}

}  // namespace miao
