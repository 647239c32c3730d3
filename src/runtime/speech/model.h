// What the parts of a Transcriber ask of a Whisper model.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "prep/tokenizer.h"
#include "prep/whisper_tokens.h"
#include "runtime/engine.h"

namespace miao::runtime {

struct SpeechModel {
  // Errors: unsupported for a model that is not Whisper; what is wrong with its tokenizer or configuration.
  static Result<SpeechModel> of(Engine& engine);

  Engine* engine = nullptr;
  const prep::Tokenizer* tokenizer = nullptr;
  prep::WhisperTokens tokens;
  int bins = 0;  // of a frame of features
  // Tokens that a transcript never has (signs that nobody speaks, control tokens), and those that it does not begin
  // with.
  std::vector<int32_t> suppressed, suppressed_first;
};

}  // namespace miao::runtime
