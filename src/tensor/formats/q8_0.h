// Q8_0: 32 values in 34 bytes (8.5 bits a value); value = d * code.
//
//   byte 0..1   d, F16
//   byte 2..33  qs: byte j is the signed code of value j
#pragma once

#include "tensor/formats/block.h"

namespace miao {

struct BlockQ8_0 {
  static constexpr int kValues = 32;
  uint16_t d;
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

static inline void decode_q8_0(const void* src, float* dst, int64_t n) {
  for_each_block<BlockQ8_0, 32>(src, dst, n, [](const BlockQ8_0& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int j = 0; j < 32; ++j) y[j] = static_cast<float>(b.qs[j]) * d;
  });
}

}  // namespace miao
