// Tokens that a Whisper model is not to say: signs that nobody speaks, and what a transcript does not begin with.
//
// CTranslate2 keeps the lists in config.json, transformers in generation_config.json, older ones in config.json; GGUF
// files under the names of transformers.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "io/checkpoint.h"

namespace miao::models {

struct SuppressedTokens {
  std::vector<int32_t> anywhere, first;
};

// Ids that are none are left out. Errors: lists that are no lists of numbers, files that cannot be read.
Result<SuppressedTokens> read_suppressed(const io::Checkpoint& checkpoint);

}  // namespace miao::models
