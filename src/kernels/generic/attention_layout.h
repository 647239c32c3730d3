// How attention uses its scratch: one call works through its query rows (token x head of the group, token-major) in
// tiles of at most kRowTile rows, so that a KV page is widened once for all rows of a tile.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace miao::kernels {

struct AttentionLayout {
  static constexpr int64_t kRowTile = 128;

  int64_t dim;     // head_dim rounded up to 16
  int64_t tokens;  // of a row tile, at most
  // Offsets in floats, multiples of 16.
  int64_t k, v;     // widened page: (4, dim, 16) and (64, dim)
  int64_t sum;      // (rows, dim): sums of p * V
  int64_t p;        // (rows, 64): scores, then probabilities
  int64_t top;      // (rows): largest score so far
  int64_t correct;  // (rows): exp(old top - new top)
  int64_t weight;   // (rows): sum of p so far
  int64_t row;      // (rows): struct Row
  int64_t floats;   // the whole
};

static inline AttentionLayout attention_layout(int64_t head_dim, int64_t group) {
  AttentionLayout a{};
  a.dim = (head_dim + kLanes - 1) / kLanes * kLanes;
  a.tokens = group >= AttentionLayout::kRowTile ? 1 : AttentionLayout::kRowTile / group;
  const int64_t rows = (a.tokens * group + kLanes - 1) / kLanes * kLanes;
  a.k = 0;
  a.v = a.k + kPage * a.dim;
  a.sum = a.v + kPage * a.dim;
  a.p = a.sum + rows * a.dim;
  a.top = a.p + rows * kPage;
  a.correct = a.top + rows;
  a.weight = a.correct + rows;
  a.row = a.weight + rows;
  a.floats = a.row + rows * 4;  // 16 bytes each
  return a;
}

}  // namespace miao::kernels
