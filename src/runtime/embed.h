// Embedding: one vector a text, as sentence-transformers computes them.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/encoder.h"

namespace miao::runtime {

struct EmbedOptions {
  std::optional<std::string> prompt;  // put before each text; unset = the model's default, if it has one
  bool truncate = false;              // texts that are too long lose their end; else they are an Error
  const std::atomic<bool>* cancel = nullptr;
};

// Special tokens before and behind a text's own.
struct Around {
  size_t front = 0, back = 0;
};
// At most `limit` of the ids; the text between what stands around it loses its end. Error invalid where there are more
// and `truncate` is off.
Result<std::vector<int32_t>> fit_tokens(std::vector<int32_t> ids, Around around, int64_t limit, bool truncate);
// The same of the ids of a text with the model's special tokens around it.
Result<std::vector<int32_t>> encode_text(const prep::Tokenizer& tokenizer, std::string_view text, int64_t limit,
                                         bool truncate);
// Tokens that a text may have: the model's limit, or the shorter one that it was trained with.
int64_t text_limit(const Encoder& encoder);
// The prompt of that name; not_found lists those that the model has.
Result<std::string> find_prompt(const Encoder& encoder, std::string_view name);

// What the model reads of each text: the model's default prompt before it where there is one. Errors name the text by
// its number.
Result<std::vector<std::vector<int32_t>>> text_ids(Encoder& encoder, std::span<const std::string> texts,
                                                   const EmbedOptions& options = {});

// (texts, dim) row by row; the encoder gives sentences (models::Rows). Errors name the text by its number.
Result<std::vector<float>> embed(Encoder& encoder, std::span<const std::string> texts,
                                 const EmbedOptions& options = {});

}  // namespace miao::runtime
