// IQ4_XS: 256 values in 136 bytes (4.25 bits a value), 8 groups of 32; value = d * (scale - 32) * kIq4Values[code].
//
//   byte 0..1    d, F16
//   byte 2..3    scales_h: bits 2g, 2g+1 of this little-endian word are the upper bits of scale g
//   byte 4..7    scales_l: byte i holds the low bits of scale 2i (low nibble) and 2i + 1 (high nibble)
//   byte 8..135  qs: group g has 16 bytes; its byte j holds the codes of value 32g + j (low nibble) and 32g + 16 + j
//   (high)
#pragma once

#include "tensor/formats/iq4_nl.h"

namespace miao {

struct BlockIQ4_XS {
  static constexpr int kValues = 256;
  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// The scale of group g, -32..31.
static inline int scale_iq4_xs(const BlockIQ4_XS& b, int g) {
  const int low = b.scales_l[g / 2] >> (4 * (g % 2)) & 15;
  const int high = b.scales_h >> (2 * g) & 3;
  return (low | high << 4) - 32;
}

static inline void decode_iq4_xs(const void* src, float* dst, int64_t n) {
  for_each_block<BlockIQ4_XS, 256>(src, dst, n, [](const BlockIQ4_XS& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int g = 0; g < 8; ++g) {
      const float scale = d * static_cast<float>(scale_iq4_xs(b, g));
      const uint8_t* q = b.qs + 16 * g;
      for (int j = 0; j < 16; ++j) {
        y[32 * g + j] = scale * static_cast<float>(kIq4Values[q[j] & 15]);
        y[32 * g + 16 + j] = scale * static_cast<float>(kIq4Values[q[j] >> 4]);
      }
    }
  });
}

}  // namespace miao
