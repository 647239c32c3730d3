// F32: IEEE 754 binary32, little endian, one value a block.
//
//   byte 0..3  value
#pragma once

#include <cstdint>
#include <cstring>

namespace miao {

static inline void decode_f32(const void* src, float* dst, int64_t n) {
  if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
}

}  // namespace miao
