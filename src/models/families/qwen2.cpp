// Qwen2 and Qwen2.5: Llama with biases on q, k and v. With use_sliding_window, layers from max_window_layers on slide.
#include "models/family.h"

namespace miao::models {

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source));
  s.block.attn.qkv_bias = true;
  MIAO_CHECK_OK(set_upper_sliding_layers(source, s));
  return s;
}

extern const Family qwen2_family = {
    .name = "qwen2", .answers_to = {"Qwen2ForCausalLM", "gguf:qwen2"}, .spec = spec, .gguf = {.architecture = "qwen2"}};

}  // namespace miao::models
