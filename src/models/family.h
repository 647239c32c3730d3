// Family: how the checkpoints of one architecture become a ModelSpec. A new family is one file in families/ and one
// line in families.inc; nothing below models/ knows its name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/source.h"
#include "models/spec.h"

namespace miao::models {

struct Family {
  std::string_view name;
  std::string_view answers_to[4];  // Hugging Face class names, and "gguf:" + general.architecture
  Result<ModelSpec> (*spec)(const Source& source);
  std::span<const TensorName> names;  // block tensors of Hugging Face files that Llama has not, or calls differently
};

// Unsupported architectures are an Error that lists the supported ones.
Result<const Family*> find_family(const Source& source);
std::vector<const Family*> all_families();

// For families: the spec that all decoders share (sizes, norms, rotation, activation), checked. Defaults are those of
// transformers' configuration classes; 0 = the key is required, or follows from others.
struct DecoderDefaults {
  double theta = 10000;
  bool tied = false;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;  // kv_heads 0 = heads, head_dim 0 = dim / heads
  int64_t vocab = 0, ctx = 0;
  double eps = 0;
  const char* act_key = "hidden_act";
  std::string_view act = "silu";
};
Result<ModelSpec> decoder_spec(const Source& source, const DecoderDefaults& defaults = {});
// spec.sliding from "layer_types" where the file has it, else as `rule` says; nothing slides when spec.window is 0.
Result<void> set_sliding_layers(const Source& source, ModelSpec& spec, const std::vector<bool>& rule);
// The rule of Qwen: with use_sliding_window, layers from max_window_layers on slide.
Result<void> set_upper_sliding_layers(const Source& source, ModelSpec& spec);

}  // namespace miao::models
