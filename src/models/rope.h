// Rotary frequencies of all scalings, computed in FP32 step by step as transformers' ROPE_INIT_FUNCTIONS do.
//
// Dynamic and longrope scaling depend on a length. Here that is the context limit the model is loaded with, not the
// length of each text, so that the logits of a token do not depend on how the text was cut into passes. transformers
// takes the length that the text has in each pass, which gives
//   the same logits for every text while the limit is at most ctx_of_scaling(),
//   beyond it the same for a text as long as the limit (dynamic), or longer than ctx_of_scaling() (longrope), that goes
//   through transformers in one pass; when a text grows past it step by step, keys that are in its cache keep the
//   rotation they were stored with, or are computed anew (Phi-3), and no limit gives the same.
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

const char* scaling_name(RopeSpec::Scaling scaling);  // "longrope", as files spell it; "none"
// The context limit beyond which the frequencies depend on it; 0 = they never do.
int64_t ctx_of_scaling(const RopeSpec& rope, int64_t model_ctx);

// Hugging Face: rope_parameters or rope_scaling, nested under the layer type ("full_attention") or not. GGUF: rope.*
// keys and the tensors rope_freqs, rope_factors_short and rope_factors_long. Errors name the key.
Result<RopeSpec> read_rope(const Source& source, int64_t rotary_dim, int64_t model_ctx, double default_theta);
// The same for sliding layers that have a theta of their own; unscaled unless the file says otherwise.
Result<RopeSpec> read_local_rope(const Source& source, int64_t rotary_dim, int64_t model_ctx, double default_theta);

}  // namespace miao::models
