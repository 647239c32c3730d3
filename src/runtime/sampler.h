// Sampler: logits of one position -> the next token.
//
// Steps, in this order (that of Hugging Face transformers, whose settings model cards publish):
//   logit bias -> repetition, frequency, presence penalty -> temperature -> top-k -> top-p -> min-p -> draw
// Temperature 0 takes the largest logit after bias and penalties. The vocabulary is never sorted: top-k keeps a heap of
// k, top-p pops a heap until the nucleus is full, everything else is one pass. Equal logits rank by id, lower first, so
// that a seed gives the same tokens everywhere.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "runtime/rng.h"

namespace miao::runtime {

struct SamplerOptions {
  float temperature = 1;  // 0 = greedy
  int64_t top_k = 0;      // 0 = all; more than the vocabulary = all
  float top_p = 1;        // in [0, 1]: the smallest set of likeliest tokens whose probabilities reach it; at least one
  float min_p = 0;        // in [0, 1]: drops tokens below min_p * (the largest probability)
  // Penalties look at the last `penalty_last_n` tokens of prompt and answer; -1 = all of them, 0 = none.
  //   repetition (CTRL, transformers, llama.cpp): l > 0 ? l / r : l * r, once for a token that occurs
  //   frequency, presence (llama.cpp; OpenAI's formula): l - count * frequency - (count > 0) * presence
  float repeat_penalty = 1;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  int64_t penalty_last_n = 64;
  std::optional<uint64_t> seed;  // unset: one is taken from the system; Sampler::seed() tells it
  struct Bias {
    int32_t token;
    float value;  // added to the logit; minus infinity bans the token
  };
  std::vector<Bias> logit_bias;

  bool greedy() const { return temperature == 0; }
};

class Sampler {
 public:
  struct Candidate {
    int32_t token;
    float logit;  // after bias and penalties, before temperature
    float p;      // final probability
  };

  // `vocab` is the number of logits. Errors (invalid) name the option that is out of range.
  static Result<Sampler> create(SamplerOptions options, int64_t vocab);

  // Puts a token of the prompt or of the answer into the window of the penalties.
  void accept(int32_t token);
  void accept(std::span<const int32_t> tokens);
  // Forgets the window; the random state goes on.
  void clear();

  // The tokens that may be drawn and their probabilities (sum 1), in the order in which sample() walks them; valid
  // until the next call. Errors: corrupt for NaN or +infinity, invalid when every token is masked.
  Result<std::span<const Candidate>> distribution(std::span<const float> logits);
  // Draws from distribution(); takes one random number unless greedy. Does not accept() the token.
  Result<int32_t> sample(std::span<const float> logits);

  const SamplerOptions& options() const { return options_; }
  uint64_t seed() const { return seed_; }
  Rng& rng() { return rng_; }

 private:
  Sampler(SamplerOptions options, int64_t vocab, uint64_t seed);
  std::span<const float> adjusted(std::span<const float> logits);
  void gather(std::span<const float> logits, float max);
  void keep_nucleus();

  SamplerOptions options_;
  int64_t vocab_;
  uint64_t seed_;
  Rng rng_;
  std::deque<int32_t> window_;
  std::unordered_map<int32_t, int64_t> counts_;  // of window_
  std::vector<float> work_;                      // (vocab): logits with bias and penalties
  std::vector<Candidate> candidates_;
};

}  // namespace miao::runtime
