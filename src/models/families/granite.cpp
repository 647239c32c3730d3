// Granite: Llama with factors on embeddings, residuals, scores and logits.
#include "models/family.h"

namespace miao::models {

static constexpr Key kEmbeddingScale{"embedding_scale", "embedding_multiplier"};
static constexpr Key kResidualScale{"residual_scale", "residual_multiplier"};
static constexpr Key kAttentionScale{"attention.scale", "attention_multiplier"};
static constexpr Key kLogitScale{"logit_scale", "logits_scaling"};  // logits are divided by it

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
  MIAO_TRY(s.embedding_scale, source.number(kEmbeddingScale, kLow, kHigh, 1));
  MIAO_TRY(s.block.residual_scale, source.number(kResidualScale, kLow, kHigh, 1));
  MIAO_TRY(attn.scale, source.number(kAttentionScale, kLow, kHigh, source.gguf() ? attn.scale : 1));
  MIAO_TRY(double divisor, source.number(kLogitScale, kLow, kHigh, 1));
  s.logit_scale = 1 / divisor;
  return s;
}

static void write_keys(const ModelSpec& s, KeyWriter& keys) {
  keys.number(kEmbeddingScale, s.embedding_scale);
  keys.number(kResidualScale, s.block.residual_scale);
  keys.number(kAttentionScale, s.block.attn.scale);
  keys.number(kLogitScale, 1 / s.logit_scale);
}

extern const Family granite_family = {.name = "granite",
                                      .answers_to = {"GraniteForCausalLM", "gguf:granite"},
                                      .spec = spec,
                                      .gguf = {.architecture = "granite", .pairs = true, .keys = write_keys}};

}  // namespace miao::models
