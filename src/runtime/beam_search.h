// Beam search: the likeliest continuations, over several inputs at once.
//
//   every step   rows of all beams of all inputs -> Engine::forward -> log-probabilities -> rules
//                -> the best tokens of an input's beams -> its next beams and what has ended
//
// Hypotheses, scores and the end of a search are those of Hugging Face transformers' generate(), or with the options
// that say so those of CTranslate2. One beam is greedy search. An input's results do not depend on the others.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"
#include "runtime/sampler.h"

namespace miao::runtime {

struct BeamOptions {
  int64_t beams = 1;
  int64_t best = 1;           // hypotheses of an input that come back, at most `beams`
  double length_penalty = 1;  // scores are log-probabilities / length^penalty
  bool end_counts = true;     // in the length; not so in CTranslate2
  bool rules_first = false;   // log-probabilities are those of the tokens that the rules leave, as in CTranslate2
  int64_t max_tokens = 256;   // of a hypothesis, its end included
  std::vector<int32_t> ends;  // tokens that end one
  // When an input is done: with `beams` hypotheses that no running beam can beat (judged by its present length: no; by
  // the longest it may reach: never), or with any `beams` * `patience` hypotheses (yes).
  enum class Early : uint8_t { no, yes, never } early = Early::no;
  double patience = 1;
  // One beam only: tokens are drawn instead, by the scores that the rules leave.
  std::optional<SamplerOptions> sampling;
};

// Changes the scores of all tokens that could follow: log-probabilities, with one beam logits. `tokens`: the prefix of
// the input and what has been chosen. Minus infinity forbids a token. Called from several threads at once.
using TokenRule = std::function<void(std::span<const int32_t> tokens, size_t prefix, std::span<float> scores)>;

struct BeamInput {
  const Sequence* memory = nullptr;  // of an encoder-decoder: Engine::encode()'s
  std::vector<int32_t> prefix;       // what every hypothesis begins with: the start token, a prompt, forced tokens
  const Sequence* begun = nullptr;   // has read the first tokens of `prefix`, not the last: for several searches
  uint64_t number = 0;               // added to the seed of sampling, whatever the inputs beside this one
};

struct Hypothesis {
  std::vector<int32_t> tokens;  // behind the prefix, with the end if it has one
  double score = 0;             // log_probability / length^penalty
  double log_probability = 0;   // of the tokens, by the scores that the rules left
};

// Best first. Errors: invalid for options or a prefix that make no sense, and those of Engine::forward; cancelled.
Result<std::vector<std::vector<Hypothesis>>> beam_search(Engine& engine, std::span<const BeamInput> inputs,
                                                         const BeamOptions& options,
                                                         std::span<const TokenRule> rules = {},
                                                         const std::atomic<bool>* cancel = nullptr);

}  // namespace miao::runtime
