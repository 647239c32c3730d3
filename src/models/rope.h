// Rotary frequencies of all scalings, computed in FP32 step by step as transformers' ROPE_INIT_FUNCTIONS do.
//
// Dynamic and longrope scaling depend on a length. Here that is the context limit the model is loaded with, not the
// length of each text, so that the logits of a token do not depend on how the text was cut into passes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "models/source.h"
#include "models/spec.h"

namespace miao::models {

struct RopeTable {
  std::vector<float> frequency;  // (rotary_dim / 2): radians a position
  float factor = 1;              // multiplies cos and sin
};

RopeTable rope_table(const RopeSpec& rope, int64_t rotary_dim, int64_t model_ctx, int64_t ctx);

// Hugging Face: rope_parameters or rope_scaling, nested under the layer type ("full_attention") or not. GGUF: rope.*
// keys and the tensors rope_freqs, rope_factors_short and rope_factors_long. Errors name the key.
Result<RopeSpec> read_rope(const Source& source, int64_t rotary_dim, int64_t model_ctx, double default_theta);
// The same for sliding layers that have a theta of their own; unscaled unless the file says otherwise.
Result<RopeSpec> read_local_rope(const Source& source, int64_t rotary_dim, int64_t model_ctx, double default_theta);

}  // namespace miao::models
