// Packed form of int8 weights with one scale a row: blocks of 16 output rows, streamed front to back.
//
//   scale f32[16]   max |w| / 127 of each row, 0 of rows of zeros
//   start i32[16]   -128 * sum of the row's codes: where a sum of products with unsigned activations starts
//   codes           per chunk of 64 columns, quad j = 0..15 holds columns 4j .. 4j+3 of the 16 rows: byte 4 * row + (k
//   & 3)
//
// Codes are signed, in [-127, 127]; past the last column they are 0. A chunk is a tile of AMX.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace miao::kernels {

struct Int8Block {
  const float* scale;
  const int32_t* start;
  const int8_t* codes;

  explicit Int8Block(const void* packed)
      : scale(static_cast<const float*>(packed)),
        start(reinterpret_cast<const int32_t*>(scale + kLanes)),
        codes(reinterpret_cast<const int8_t*>(start + kLanes)) {}
};

constexpr int64_t kInt8Head = 2 * 4 * kLanes;   // bytes before the codes
constexpr int64_t kInt8Tile = kChunk * kLanes;  // bytes of a chunk

static inline int64_t int8_block_bytes(int64_t cols) { return kInt8Head + round_up(cols, kChunk) * kLanes; }

}  // namespace miao::kernels
