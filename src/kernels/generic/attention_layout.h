// How attention uses its scratch: one call works through its query rows (token x head of the group, token-major) in
// tiles of about kRowTile rows, so that a KV page is widened once for all rows of a tile.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace miao::kernels {

struct AttentionLayout {
  static constexpr int64_t kRowTile = 96;

  int64_t dim;     // head_dim rounded up to 16
  int64_t tokens;  // of a row tile
  int64_t rows;    // tokens * group
  // Offsets in floats, multiples of 16.
  int64_t k, v;         // widened page: (4, dim, 16) and (64, dim)
  int64_t sum;          // (rows, dim): sums of p * V
  int64_t top, weight;  // (rows): largest score, sum of p
  int64_t floats;       // the whole
};

static inline AttentionLayout attention_layout(int64_t head_dim, int64_t group) {
  AttentionLayout a{};
  a.dim = (head_dim + kLanes - 1) / kLanes * kLanes;
  a.tokens = group >= AttentionLayout::kRowTile ? 1 : AttentionLayout::kRowTile / group;
  a.rows = a.tokens * group;
  const int64_t padded = (a.rows + kLanes - 1) / kLanes * kLanes;
  a.k = 0;
  a.v = a.k + kPage * a.dim;
  a.sum = a.v + kPage * a.dim;
  a.top = a.sum + a.rows * a.dim;
  a.weight = a.top + padded;
  a.floats = a.weight + padded;
  return a;
}

}  // namespace miao::kernels
