// Qwen3 (dense): Llama with an RMS norm of each head of q and k before the rotation, and heads of their own size.
#include "models/family.h"

namespace miao::models {

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.head_dim = 128}));
  s.block.attn.qk_norm = AttentionSpec::QkNorm::head;
  MIAO_TRY(s.block.attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
  s.block.attn.o_bias = s.block.attn.qkv_bias;
  MIAO_CHECK_OK(set_upper_sliding_layers(source, s));
  return s;
}

extern const Family qwen3_family = {
    .name = "qwen3", .answers_to = {"Qwen3ForCausalLM", "gguf:qwen3"}, .spec = spec, .gguf = {.architecture = "qwen3"}};

}  // namespace miao::models
