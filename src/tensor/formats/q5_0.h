// Q5_0: 32 values in 22 bytes (5.5 bits a value); value = d * (code - 16).
//
//   byte 0..1   d, F16
//   byte 2..5   qh: bit j of this little-endian 32-bit word is the fifth bit of value j
//   byte 6..21  qs: byte j holds the low four bits of value j (low nibble) and value j + 16 (high nibble)
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ5_0 {
  static constexpr int kValues = 32;
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

static inline void decode_q5_0(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ5_0, 32>(src, dst, n, [](const BlockQ5_0& b, float* y) {
    const float d = f16_to_f32(b.d);
    uint32_t high;
    std::memcpy(&high, b.qh, 4);
    for (int j = 0; j < 16; ++j) {
      const int lo = (b.qs[j] & 15) | static_cast<int>((high >> j & 1) << 4);
      const int hi = (b.qs[j] >> 4) | static_cast<int>((high >> (j + 16) & 1) << 4);
      y[j] = static_cast<float>(lo - 16) * d;
      y[j + 16] = static_cast<float>(hi - 16) * d;
    }
  });
}

}  // namespace miao
