// Helper of the format headers: the loop over the blocks of a row, in memory of any alignment.
//
// Functions of these headers are static: kernel files include them under other instruction sets, and a shared inline
// function compiled there could be the one the linker keeps for everybody.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace miao {

// Calls decode_block(block, dst) for each of the n / values blocks at src; dst advances by `values`.
template <class Block, int values, class DecodeBlock>
void for_each_block(const void* src, float* dst, int64_t n, DecodeBlock decode_block) {
  const auto* bytes = static_cast<const unsigned char*>(src);
  for (int64_t i = 0; i < n / values; ++i) {
    Block block;
    std::memcpy(&block, bytes + i * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
    decode_block(block, dst + i * values);
  }
}

}  // namespace miao
