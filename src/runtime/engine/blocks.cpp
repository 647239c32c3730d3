// Engine::forward_blocks(): one layer at a time, for work on weights (calibration, sensitivity) that would else run the
// whole model again for each.
#include <algorithm>

#include "base/check.h"
#include "runtime/engine.h"
#include "runtime/engine/state.h"

namespace miao::runtime {

Result<void> Engine::forward_blocks(Sequence& sequence, std::span<const int32_t> tokens, graph::Blocks blocks,
                                    const Sink& sink, Cancel cancel) {
  State& s = *state_;
  MIAO_CHECK(s.can_run);
  const Slice whole{&sequence, tokens, Want::none, nullptr};
  MIAO_CHECK_OK(s.check({&whole, 1}));
  const int64_t start = sequence.size();
  const auto undo = [&](Error error) {
    sequence.truncate(start);
    return error;
  };
  const int64_t piece = blocks.out ? s.chunk : s.rows_of_logits();
  for (int64_t first = 0, count = static_cast<int64_t>(tokens.size()); first < count; first += piece) {
    const int64_t rows = std::min(piece, count - first);
    const Slice part{&sequence, tokens.subspan(static_cast<size_t>(first), static_cast<size_t>(rows)),
                     blocks.out ? Want::none : Want::all, nullptr};
    if (auto ready = s.prepare({&part, 1}); !ready.ok()) return undo(std::move(ready.error()));
    s.ids.assign(part.tokens.begin(), part.tokens.end());
    s.slices.push_back({0, rows, sequence.size(), sequence.pages(), {}, 0});
    s.sequences.push_back(&sequence);
    for (int64_t t = 0; t < rows; ++t) s.wanted.push_back(static_cast<int32_t>(t));
    graph::Blocks own = blocks;
    if (own.in) own.in += first * own.ld;
    if (own.out) own.out += first * own.ld;
    int64_t row = 0;
    if (!s.run(row, cancel, &own)) return undo(Error{Code::cancelled, "interrupted", {}});
    if (blocks.out) continue;
    if (auto taken = sink(first, Logits(s.logits.as<float>(), rows, s.vocab(), s.logits_stride())); !taken.ok()) {
      return undo(std::move(taken.error()));
    }
  }
  sequence.truncate(start);
  return {};
}

Result<void> Engine::run_blocks(Inputs inputs, graph::Blocks blocks, const Sink& sink, Cancel cancel) {
  Sequence sequence = new_sequence();
  int64_t first = 0;
  for (const std::vector<int32_t>& input : inputs) {
    const auto from = [&](int64_t row, const Logits& rows) { return sink(first + row, rows); };
    MIAO_CHECK_OK(forward_blocks(sequence, input, blocks, from, cancel));
    const auto rows = static_cast<int64_t>(input.size());
    if (blocks.in) blocks.in += rows * blocks.ld;
    if (blocks.out) blocks.out += rows * blocks.ld;
    first += rows;
  }
  return {};
}

}  // namespace miao::runtime
