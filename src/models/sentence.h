// SentenceSpec: how a model's rows become one vector a text: modules.json of a sentence-transformers directory and the
// files it names, or the pooling type of a GGUF file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/checkpoint.h"

namespace miao::models {

struct SentenceSpec {
  enum class Pool : uint8_t { first, mean } pool = Pool::mean;
  bool normalise = false;                                    // to length 1
  int64_t max_tokens = 0;                                    // longer texts were cut in training; 0 = not said
  std::vector<std::pair<std::string, std::string>> prompts;  // by name: text that is put before others
  std::string default_prompt;                                // a name, or empty
};

// No value where the checkpoint says nothing of it. unsupported: modules that change the rows in other ways.
Result<std::optional<SentenceSpec>> read_sentence_spec(const io::Checkpoint& checkpoint);

}  // namespace miao::models
