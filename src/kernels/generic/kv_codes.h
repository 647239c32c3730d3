// Pages of codes: keys and values of a head in groups of 32 dimensions (KvFormat::group) with a scale each. 16
// positions are a block, page_bytes / 4 long: codes, then scales, so that what a page holds before a position is its
// beginning.
//
//   K block   INT8  [group][8 quads][16 keys][4 dims]   byte = code + 128
//             INT4  [group][4 pairs of quads][16][4]    low half of a byte = code + 8 of the first quad, high of the
//             second
//   V block   INT8  [16 keys][dims]                     byte = code
//             INT4  [16 keys][group][16]                low half = code + 8 of dimension i, high of dimension i + 16
//   scales of both  [group][16 keys] in BF16            value = code * scale
//
// Lanes of products are keys, and a quad is what one instruction takes of each: q . k is a product of int8 queries,
// as in matrices. A byte belongs to one position: threads store neighbours at the same time.
#pragma once

#include <cstdint>

#include "kernels/kv.h"

namespace miao::kernels {

template <int kBits>
struct KvCodes {
  static constexpr KvType kType = kBits == 8 ? KvType::int8 : KvType::int4;
  static constexpr int64_t kGroupBytes = kGroup * kBits / 8;    // of one position
  static constexpr int64_t kLanesBytes = kLanes * kGroupBytes;  // of one block

  int64_t groups, block;  // groups of a head; bytes of a block

  explicit KvCodes(int64_t head_dim)
      : groups(kv_dim(kType, head_dim) / kGroup), block(page_bytes(kType, head_dim) / (kPage / kLanes)) {}
  int64_t scales() const { return groups * kLanesBytes; }  // offset in a block
};

// The rotation multiplies blocks of as many dimensions by a Hadamard matrix.
static inline int kv_rotation(int64_t head_dim) {
  int n = 1;
  while (n < 128 && head_dim % (2 * n) == 0) n *= 2;
  return n;
}

}  // namespace miao::kernels
