// Verification of drafted tokens: one pass scores them all, the sequence keeps those that the model agrees with.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"

namespace miao::runtime {

// Chooses the token that follows a row: greedy, or a sampler with its own state. Called once per token that is kept,
// in order, so that the outcome equals token-by-token decoding with the same chooser.
using Choose = std::function<int32_t(std::span<const float> logits)>;

struct Verified {
  int accepted = 0;  // drafted tokens that were kept
  int32_t next = 0;  // what the model says after them; not yet part of the sequence
};

// Feeds `last` (chosen before, not yet in the sequence) and the draft behind it. Afterwards the sequence holds `last`
// and the accepted tokens. Errors: those of Engine::forward.
Result<Verified> verify(Engine& engine, Sequence& sequence, int32_t last, std::span<const int32_t> draft,
                        const Choose& choose);

}  // namespace miao::runtime
