// StarCoder2: LayerNorm, plain tanh-GELU FFN, biases everywhere, a sliding window on every layer.
#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"ffn_up", "mlp.c_fc"}, {"ffn_down", "mlp.c_proj"}};
static constexpr KeyName kKeys[] = {{"layer_norm_eps", "norm_epsilon"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.tied = true,
                                              .heads = 24,
                                              .kv_heads = 2,
                                              .vocab = 49152,
                                              .ctx = 4096,
                                              .eps = 1e-5,
                                              .act = "gelu_pytorch_tanh",
                                              .layer_norm = true}));
  if (source.gguf()) s.block.ffn.act = kernels::Act::gelu_tanh;
  AttentionSpec& attn = s.block.attn;
  MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "use_bias"}, true));
  attn.o_bias = s.block.ffn.bias = attn.qkv_bias;
  s.block.ffn.gated = false;
  MIAO_TRY(s.window, source.integer(kWindow, 0, int64_t{1} << 30, 0));
  s.local_rope = s.rope;
  s.sliding.assign(static_cast<size_t>(s.layers), s.window > 0);
  return s;
}

extern const Family starcoder2_family = {.name = "starcoder2",
                                         .answers_to = {"Starcoder2ForCausalLM", "gguf:starcoder2"},
                                         .spec = spec,
                                         .hf = {.tensors = kNames, .keys = kKeys},
                                         .gguf = {.architecture = "starcoder2", .window = true}};

}  // namespace miao::models
