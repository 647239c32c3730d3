// OLMo 2: norms behind attention and FFN instead of before them, and an RMS norm over all heads of q and of k.
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"post_attention_norm", "post_attention_layernorm"},
                                        {"post_ffw_norm", "post_feedforward_layernorm"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.heads = 32, .vocab = 50304, .ctx = 2048, .eps = 1e-5}));
  s.block.pre_norms = false;
  s.block.post_norms = true;
  s.block.attn.qk_norm = AttentionSpec::QkNorm::all;
  MIAO_TRY(s.block.attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
  s.block.attn.o_bias = s.block.attn.qkv_bias;
  return s;
}

extern const Family olmo2_family = {.name = "olmo2",
                                    .answers_to = {"Olmo2ForCausalLM", "gguf:olmo2"},
                                    .spec = spec,
                                    .hf = {.tensors = kNames},
                                    .gguf = {.architecture = "olmo2"}};

}  // namespace miao::models
