// Granite: Llama with factors on embeddings, residuals, scores and logits.
#include "models/family.h"

namespace miao::models {

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.heads = 32, .vocab = 32000, .ctx = 2048, .eps = 1e-6}));
  AttentionSpec& attn = s.block.attn;
  attn.interleaved = source.gguf();  // permuted as Llama's are
  if (source.gguf()) {
    attn.qkv_bias = source.find("blk.0.attn_q.bias") != nullptr;
    attn.o_bias = source.find("blk.0.attn_output.bias") != nullptr;
    s.block.ffn.bias = source.find("blk.0.ffn_gate.bias") != nullptr;
  } else {
    MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
    attn.o_bias = attn.qkv_bias;
    MIAO_TRY(s.block.ffn.bias, source.boolean({nullptr, "mlp_bias"}, false));
  }
  constexpr double kLow = 1e-6, kHigh = 1e6;
  MIAO_TRY(s.embedding_scale, source.number({"embedding_scale", "embedding_multiplier"}, kLow, kHigh, 1));
  MIAO_TRY(s.block.residual_scale, source.number({"residual_scale", "residual_multiplier"}, kLow, kHigh, 1));
  MIAO_TRY(attn.scale,
           source.number({"attention.scale", "attention_multiplier"}, kLow, kHigh, source.gguf() ? attn.scale : 1));
  MIAO_TRY(double divisor, source.number({"logit_scale", "logits_scaling"}, kLow, kHigh, 1));
  s.logit_scale = 1 / divisor;
  return s;
}

extern const Family granite_family = {
    .name = "granite", .answers_to = {"GraniteForCausalLM", "gguf:granite"}, .spec = spec};

}  // namespace miao::models
