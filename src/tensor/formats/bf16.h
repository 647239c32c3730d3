// BF16: the upper half of an IEEE 754 binary32, little endian, one value a block.
//
//   bit 15    14..7       6..0
//       sign  exponent    mantissa
#pragma once

#include "tensor/formats/block.h"

namespace miao {

static inline void decode_bf16(const void* src, float* dst, int64_t n) {
  for_each_block<uint16_t, 1>(src, dst, n, [](uint16_t bits, float* y) { *y = bf16_to_f32(bits); });
}

}  // namespace miao
