// What a classification rests on: the probability of the class is taken again with each word left out.
//
// The difference says what a word adds next to all others. Words that say the same thing twice cover for each other, so
// the numbers need not sum up to anything.
#pragma once

#include <atomic>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/tokenizer.h"
#include "runtime/encoder.h"

namespace miao::runtime {

struct ExplainOptions {
  bool truncate = false;  // a text that is too long loses its end; else it is an Error
  const std::atomic<bool>* cancel = nullptr;
};

struct WordShare {
  prep::ByteRange range;  // of the text
  float share;            // the score less the score without this word
};

struct Explanation {
  size_t label;  // the class of the largest score
  float score;   // with all words
  std::vector<WordShare> words;
};

// Error unsupported for a model without a head that classifies texts.
Result<Explanation> explain(Encoder& encoder, std::string_view text, const ExplainOptions& options = {});

}  // namespace miao::runtime
