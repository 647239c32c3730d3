// Answers: the span of a text that answers a question, by a model that scores where an answer begins and ends.
//
// As transformers' question answering: the text goes through the model in windows behind the question; within a window
// the probabilities are softmaxes over its tokens and the token in front (which stands for "no answer" in models made
// for SQuAD 2), and a span's score is that of its begin times that of its end.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/tokenizer.h"
#include "runtime/encoder.h"

namespace miao::runtime {

struct AnswerOptions {
  size_t count = 1;          // answers wanted
  int64_t most_tokens = 15;  // of an answer
  int64_t overlap = 128;     // tokens that neighbouring windows share
  const std::atomic<bool>* cancel = nullptr;
};

struct Answer {
  float score;
  prep::ByteRange range;  // of the text
};

struct Answers {
  std::vector<Answer> best;  // the surest first
  float none = 0;            // the score of no answer: that of the window where it is least likely
};

// Errors: unsupported for a model without such a head or a tokenizer without pairs; invalid for a question that leaves
// no room for the text, or an empty text.
Result<Answers> find_answers(Encoder& encoder, std::string_view question, std::string_view text,
                             const AnswerOptions& options = {});

}  // namespace miao::runtime
