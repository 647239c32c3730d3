// What a checkpoint says about how its answers should be sampled.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "io/checkpoint.h"
#include "runtime/sampler.h"

namespace miao::runtime {

struct GenerationDefaults {
  SamplerOptions sampling;
  std::vector<int32_t> stop_tokens;  // end ids of generation_config.json, besides those of the tokenizer
  bool from_file = false;            // false: the model says nothing, these are the usual settings for chat
};

// Hugging Face: generation_config.json (do_sample, temperature, top_k, top_p, min_p, repetition_penalty, eos_token_id;
// what it leaves out has transformers' defaults). GGUF: the keys general.sampling.*. Otherwise temperature 0.8, top-k
// 40, top-p 0.95, min-p 0.05. Errors: corrupt or invalid for a file that cannot be read as that.
Result<GenerationDefaults> generation_defaults(const io::Checkpoint& checkpoint);

}  // namespace miao::runtime
