// The packed block of weights by parts (generic/float_parts.inl), and the order of their products. W is the number of
// parts that weights have: 8 bits are in one, so those of BF16 files have one, of F16 files two, of F32 files three.
#pragma once

#include <cstdint>

#include "kernels/activations.h"

namespace miao::kernels {

constexpr int kParts = FloatParts::kParts;
constexpr int64_t kPartDepth = FloatParts::kDepth;  // of K: one tile
constexpr int64_t kPartTile = 16 * kPartDepth;      // bf16 numbers of a tile
template <int W>
constexpr int64_t kPartStep = W* kPartTile;  // of a block, from one tile's K to the next

static inline int64_t part_chunks(int64_t cols) { return (cols + kPartDepth - 1) / kPartDepth; }
template <int W>
inline int64_t part_block_bytes(int64_t cols) {
  return part_chunks(cols) * kPartStep<W> * 2;
}
// Parts are read from small to large, in the order of kProducts; part 0 is the large one.
template <int W>
constexpr int64_t part_offset(int part) {
  return (W - 1 - part) * kPartTile;
}

// Parts of the activations and of the weights. Of two factors one changes from product to product. Those with a part
// that weights do not have are left out: they would add 0; and those with x + w > S, which is 2 where results are to be
// as near as those of FP32, and 1 where two parts are enough.
struct PartProduct {
  int x, w;
};
constexpr PartProduct kProducts[] = {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}};
template <int W, int S>
constexpr bool is_made(PartProduct p) {
  return p.w < W && p.x + p.w <= S;
}

}  // namespace miao::kernels
