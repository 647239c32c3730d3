// F16: IEEE 754 binary16, little endian, one value a block.
//
//   bit 15    14..10      9..0
//       sign  exponent    mantissa     subnormals, infinities and NaN as in the standard
#pragma once

#include "tensor/formats/block.h"

namespace miao {

static inline void decode_f16(const void* src, float* dst, int64_t n) {
  for_each_block<uint16_t, 1>(src, dst, n, [](uint16_t bits, float* y) { *y = f16_to_f32(bits); });
}

}  // namespace miao
