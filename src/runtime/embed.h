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

// The ids of a text with the model's special tokens around it, at most `limit` of them. Error invalid where there are
// more and `truncate` is off.
// The same of ids that are there, `bare` being those of the text without what stands around it.
Result<std::vector<int32_t>> fit_tokens(std::vector<int32_t> ids, std::span<const int32_t> bare, int64_t limit,
                                        bool truncate);
Result<std::vector<int32_t>> encode_text(const prep::Tokenizer& tokenizer, std::string_view text, int64_t limit,
                                         bool truncate);
// Tokens that a text may have: the model's limit, or the shorter one that it was trained with.
int64_t text_limit(const Encoder& encoder);
// The prompt of that name; not_found lists those that the model has.
Result<std::string> find_prompt(const Encoder& encoder, std::string_view name);

// (texts, dim) row by row; the encoder gives sentences (models::Rows). Errors name the text by its number.
Result<std::vector<float>> embed(Encoder& encoder, std::span<const std::string> texts,
                                 const EmbedOptions& options = {});

}  // namespace miao::runtime
