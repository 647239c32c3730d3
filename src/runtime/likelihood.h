// How likely the model finds each token of a text, and what it would rather have written.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"

namespace miao::runtime {

struct TokenLikelihood {
  struct Choice {
    int32_t token = -1;
    float log_probability = 0;  // natural, of the model's own distribution: temperature 1, no rule, no penalty
  };
  Choice own;
  int64_t rank = 0;          // tokens that are likelier
  std::vector<Choice> best;  // the likeliest, the best first; of equals the lower id
};

// Of ids[first], ids[first + 1], ..., each behind all that stands before it; 1 <= first. `best`: how many choices of
// each. `memory`: of an encoder-decoder, what encode() gave for the text that the ids answer. Memory does not grow with
// ids * vocab. Errors: invalid for ids that are no tokens, cancelled, those of Engine::forward.
Result<std::vector<TokenLikelihood>> likelihoods(Engine& engine, std::span<const int32_t> ids, int64_t first,
                                                 int64_t best = 0, const Sequence* memory = nullptr,
                                                 const std::atomic<bool>* cancel = nullptr);

}  // namespace miao::runtime
