// Pass: the ragged batch that one run of a Program computes.
//
//   rows   0 1 2 3 4 5 6 7        slice A: rows 0..4, positions 10..14 of its sequence (a piece of a prompt)
//          A A A A A B C C        slice B: row 5, position 99 (one decoded token)
//                                 wanted rows {4, 5, 7}: logits of these only
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

namespace miao::graph {

// Page pointers of one sequence: page p of (layer, kv_head) at k[(layer * kv_heads + kv_head) * capacity + p].
struct KvPages {
  const void* const* k = nullptr;
  const void* const* v = nullptr;
  int64_t capacity = 0;
};

struct PassSlice {
  int64_t row = 0;  // the first of `rows` rows of the pass
  int64_t rows = 0;
  int64_t position = 0;  // of the first row in its sequence
  KvPages kv;
  KvPages memory;           // of a decoder with an encoder: keys and values of what that gave, and
  int64_t memory_rows = 0;  // of how many rows
};

// Blocks of a Program that are run alone: `in` takes the place of what came out of the block before, `out` gets what
// comes out of the last. Rows of `ld` floats; a null `in` begins with the ids, and a null `out` goes on to the end.
struct Blocks {
  int64_t first = 0, end = 0;
  const float* in = nullptr;
  float* out = nullptr;
  int64_t ld = 0;
};

struct Pass {
  std::span<const int32_t> ids;     // (rows), each below vocab
  std::span<const int32_t> types;   // (rows), segments of encoders' inputs; empty = all 0
  const float* features = nullptr;  // frames instead of ids, (frames, ld_features); see add_window()
  int64_t ld_features = 0;
  std::span<const PassSlice> slices;  // cover the rows in order
  std::span<const int32_t> wanted;    // rows whose logits are computed, ascending
  float* logits = nullptr;            // (wanted, vocab), row stride ld_logits
  int64_t ld_logits = 0;              // at least vocab rounded up to 16

  const std::atomic<bool>* cancel = nullptr;  // once true, the pass ends behind the step in hand

  int64_t rows() const {
    if (!ids.empty() || slices.empty()) return static_cast<int64_t>(ids.size());
    return slices.back().row + slices.back().rows;
  }
};

}  // namespace miao::graph
