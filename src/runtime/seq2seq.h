// Text to text with an encoder-decoder: translation, summarisation, answers. Texts go through the model together.
//
//   texts -> token ids -> Engine::encode -> beam_search with the model's own settings -> texts
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/languages.h"
#include "runtime/beam_search.h"
#include "runtime/engine.h"
#include "runtime/likelihood.h"
#include "runtime/token_rules.h"

namespace miao::runtime {

struct Seq2SeqOptions {
  BeamOptions beam;
  TokenRuleOptions rules;  // `ends` and `max_tokens` are taken from `beam`
  int32_t start = -1;      // the decoder's first token
  std::string prefix;      // text that every answer begins with; not part of what comes back
  // Languages of a translation model, as its files spell them (prep/languages.h); empty = what those say.
  std::string source, target;
  bool parse_special = true;  // control tokens written out in a text count as such
  bool truncate = false;      // texts that are too long lose their end; else they are an Error
  int64_t batch = 32;         // texts that are searched together
  const std::atomic<bool>* cancel = nullptr;
};

// What the model's files ask for: generation_config.json, or in older checkpoints config.json, as transformers'
// generate() takes it; of a GGUF file its start and end tokens. Where nothing is said: one beam, as many tokens as the
// decoder has positions, 512 at most. Errors: of a file that cannot be read as that; not_found for a start token that
// is not named; unsupported for a decoder.
Result<Seq2SeqOptions> seq2seq_defaults(const Engine& engine);

struct Seq2SeqAnswer {
  std::string text;
  std::vector<int32_t> tokens;  // with the end
  double score = 0;             // see Hypothesis
};
// The best answers of a text, best first.
using Seq2SeqAnswers = std::vector<Seq2SeqAnswer>;

// A text as the encoder reads it, at most Engine::input_ctx() tokens, and what the decoder has to write first for the
// target language.
Result<prep::Languages::Input> seq2seq_input(const Engine& engine, std::string_view text,
                                             const Seq2SeqOptions& options);

// One result a text, in their order; what is wrong with one text does not touch the others. An Error of the whole: bad
// options, no tokenizer, an unknown language, cancelled, out of memory.
Result<std::vector<Result<Seq2SeqAnswers>>> seq2seq(Engine& engine, std::span<const std::string> texts,
                                                    const Seq2SeqOptions& options);
// The same from token ids, with those that the encoder expects around a text. What is wrong with one input is an Error
// of the whole, before anything is computed. The answers of a model without a tokenizer have no text.
Result<std::vector<Seq2SeqAnswers>> seq2seq(Engine& engine, std::span<const std::vector<int32_t>> inputs,
                                            const Seq2SeqOptions& options);

// How likely the model finds an answer to a text, token by token (runtime/likelihood.h).
Result<std::vector<TokenLikelihood>> answer_likelihoods(Engine& engine, std::string_view text,
                                                        std::span<const int32_t> answer, const Seq2SeqOptions& options,
                                                        int64_t best);

}  // namespace miao::runtime
