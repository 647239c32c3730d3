// How attention uses its scratch: one call works through its query rows (token x head of the group, token-major) in
// tiles of at most kRowTile rows, so that a KV page is widened once for all rows of a tile.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace miao::kernels {

struct AttentionLayout {
  static constexpr int64_t kRowTile = 128;
  static constexpr int64_t kBlockRows = 6;  // rows that share a load, at most

  int64_t dim;     // kv_dim
  int64_t groups;  // of a head; 0 = elements
  int64_t tokens;  // of a row tile, at most
  // Offsets in floats, multiples of 16.
  int64_t k, v;     // widened page: (4, dim, 16) of elements alone, and (64, dim)
  int64_t sum;      // (rows, dim): sums of p * V
  int64_t p;        // (rows, 64): scores, then probabilities
  int64_t top;      // (rows): largest score so far
  int64_t correct;  // (rows): exp(old top - new top)
  int64_t weight;   // (rows): sum of p so far
  int64_t row;      // (rows): struct Row
  // Of formats with groups.
  int64_t codes;     // (rows, dim) int8: queries
  int64_t scale;     // (rows, groups): their scales
  int64_t code_sum;  // (rows, groups) int32: sums of their codes
  int64_t scaled;    // (kBlockRows, groups, 64): probabilities times scales of values
  int64_t floats;    // the whole
};

static inline AttentionLayout attention_layout(KvType kv, int64_t head_dim, int64_t group) {
  AttentionLayout a{};
  a.dim = kv_dim(kv, head_dim);
  a.groups = kv_format(kv).group > 0 ? a.dim / kv_format(kv).group : 0;
  a.tokens = group >= AttentionLayout::kRowTile ? 1 : AttentionLayout::kRowTile / group;
  const int64_t rows = round_up(a.tokens * group, kLanes);
  const auto take = [&](int64_t floats) {
    const int64_t at = a.floats;
    a.floats += floats;
    return at;
  };
  a.k = take(a.groups > 0 ? 0 : kPage * a.dim);
  a.v = take(kPage * a.dim);
  a.sum = take(rows * a.dim);
  a.p = take(rows * kPage);
  a.top = take(rows);
  a.correct = take(rows);
  a.weight = take(rows);
  a.row = take(rows * 4);  // 16 bytes each
  a.codes = take(a.groups > 0 ? rows * a.dim / 4 : 0);
  a.scale = take(rows * a.groups);
  a.code_sum = take(rows * a.groups);
  a.scaled = take(AttentionLayout::kBlockRows * a.groups * kPage);
  return a;
}

}  // namespace miao::kernels
