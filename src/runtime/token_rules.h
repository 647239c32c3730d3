// Rules that change what may follow in a search: those that generation_config.json of Hugging Face models asks for.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/beam_search.h"

namespace miao::runtime {

struct TokenRuleOptions {
  double repetition_penalty = 1;                // of tokens that occur, the prefix included; as in Sampler
  int64_t no_repeat_ngram = 0;                  // no sequence of so many tokens twice; 0 = off
  std::vector<std::vector<int32_t>> bad_words;  // sequences of tokens that never appear
  int64_t min_tokens = 0;                       // new ones before an end
  std::vector<int32_t> ends;
  int32_t first = -1;  // forced directly behind the prefix; -1 = none
  int32_t last = -1;   // forced as the token number `max_tokens`; -1 = none
  int64_t max_tokens = 0;
  std::vector<int32_t> suppressed, suppressed_first;  // never, and not directly behind the prefix
};

// In the order in which transformers applies them. Ids outside the vocabulary are passed over.
std::vector<TokenRule> token_rules(const TokenRuleOptions& options);

}  // namespace miao::runtime
