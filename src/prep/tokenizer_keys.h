// A tokenizer as the keys of a GGUF file (tokenizer.ggml.*), from which Tokenizer::from_gguf() makes one that gives the
// same ids.
//
// It goes by what the tokenizer does, whatever files it came from. Such files name pre-tokenizers instead of spelling
// them out, and have four kinds of normalizers: what they cannot say is an Error, or a note where programs that read
// them live with it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "prep/tokenizer.h"

namespace miao::prep {

// The alternative is the type in the file.
using TokenizerValue = std::variant<bool, uint32_t, std::string, std::vector<std::string>, std::vector<float>,
                                    std::vector<int32_t>, std::vector<uint8_t>>;

struct TokenizerKeys {
  std::vector<std::pair<std::string, TokenizerValue>> keys;
  std::vector<std::string> notes;  // where ids may differ, a line each
};

// `vocab`: rows of the model's table of tokens; those behind the tokenizer's ids become unused tokens.
// `frame`: with the ids around a text; models of speech put prompts of their own there. Errors:
// unsupported, which names the part that GGUF files have no words for; invalid, more tokens than rows.
Result<TokenizerKeys> gguf_keys(const Tokenizer& tokenizer, int64_t vocab, bool frame = true);

}  // namespace miao::prep
