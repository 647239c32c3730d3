// Calibration text where the user has none: what the model writes by itself.
//
// Windows sampled from a model are drawn from the very distribution that it is to keep, need no file and no licence,
// and two seeds give sets that have nothing in common (Liu et al. 2023, LLM-QAT, arXiv 2305.17888). Text of the field
// where a model will be used is still better.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"

namespace miao::compress {

struct OwnTextOptions {
  int64_t windows = 64, tokens = 512;
  uint64_t seed = 1;
  std::function<void(int64_t tokens)> progress;  // written so far, of all windows
  const std::atomic<bool>* cancel = nullptr;
};

// Each window begins with the tokenizer's begin token, or with a token drawn from the vocabulary, and goes on at
// temperature 1 behind end tokens too. The same model and seed give the same windows. Errors: those of Engine::forward.
Result<std::vector<std::vector<int32_t>>> own_text(runtime::Engine& engine, const OwnTextOptions& options);

}  // namespace miao::compress
