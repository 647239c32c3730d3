// Calibration text as windows of tokens: of a text that the user gives, or of what the model writes by itself.
//
// The latter is drawn from the very distribution that the model is to keep, need no file and no licence,
// and two seeds give sets that have nothing in common (Liu et al. 2023, LLM-QAT, arXiv 2305.17888). Text of the field
// where a model will be used is still better.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"

namespace miao::prep {
class Tokenizer;
}  // namespace miao::prep

namespace miao::compress {

struct WindowOptions {
  int64_t windows = 64, tokens = 512;  // tokens of each
};

// Windows that lie evenly over the text; each begins with the tokenizer's begin token where it adds one. Errors:
// invalid for a text that is not UTF-8 or too short for one window (with the number of its tokens).
Result<std::vector<std::vector<int32_t>>> text_windows(const prep::Tokenizer& tokenizer, std::string_view text,
                                                       const WindowOptions& options);

// The same of an encoder: the lines of a text, as many as `options` has tokens, spread evenly; those that are too long
// lose their end. Errors: invalid for a text without lines, or that is not UTF-8.
Result<std::vector<std::vector<int32_t>>> text_items(runtime::Encoder& encoder, std::string_view text,
                                                     const WindowOptions& options);

struct OwnTextOptions {
  WindowOptions size;
  uint64_t seed = 1;
  std::function<void(int64_t tokens)> progress;  // written so far, of all windows
  const std::atomic<bool>* cancel = nullptr;
};

// Each window begins with the tokenizer's begin token, or with a token drawn from the vocabulary, and goes on at
// temperature 1 behind end tokens too. The same model and seed give the same windows. Errors: those of Engine::forward.
Result<std::vector<std::vector<int32_t>>> own_text(runtime::Engine& engine, const OwnTextOptions& options);

}  // namespace miao::compress
