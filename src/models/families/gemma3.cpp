// Gemma 3 (text): norms around attention and FFN ("sandwich") stored minus one in Hugging Face files, q/k norms, gated
// tanh GELU, scaled embeddings, and five sliding layers with their own rotation for each full one.
#include <cmath>

#include "models/family.h"
#include "models/rope.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"ffn_norm", "pre_feedforward_layernorm"},
                                        {"post_attention_norm", "post_attention_layernorm"},
                                        {"post_ffw_norm", "post_feedforward_layernorm"}};

// Configurations of the multimodal models leave out what equals the default.
static constexpr DecoderDefaults kDefaults = {.theta = 1e6,
                                              .tied = true,
                                              .heads = 8,
                                              .kv_heads = 4,
                                              .head_dim = 256,
                                              .vocab = 262208,
                                              .ctx = 131072,
                                              .eps = 1e-6,
                                              .act_key = "hidden_activation",
                                              .act = "gelu_pytorch_tanh"};

static Result<ModelSpec> spec(const Source& source) {
  constexpr int64_t kLayers27B = 62;  // GGUF files do not say the query scale; this size alone differs
  MIAO_TRY(ModelSpec s, decoder_spec(source, kDefaults));
  AttentionSpec& attn = s.block.attn;
  attn.qk_norm = true;
  s.block.post_norms = true;
  s.norm_plus_one = !source.gguf();
  s.embedding_scale = std::sqrt(static_cast<double>(s.dim));
  MIAO_TRY(s.final_softcap, source.number({"final_logit_softcapping", "final_logit_softcapping"}, 0, 1e6, 0));
  MIAO_TRY(attn.softcap, source.number({nullptr, "attn_logit_softcapping"}, 0, 1e6, 0));
  if (source.gguf()) {
    if (s.layers == kLayers27B) attn.scale = 1 / std::sqrt(static_cast<double>(s.dim / attn.heads));
  } else {
    MIAO_TRY(double scalar, source.number({nullptr, "query_pre_attn_scalar"}, 1, 1e6, 256));
    attn.scale = 1 / std::sqrt(scalar);
    MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
    attn.o_bias = attn.qkv_bias;
  }
  constexpr Key kBidirectional{nullptr, "use_bidirectional_attention"};
  MIAO_TRY(bool bidirectional, source.boolean(kBidirectional, false));
  if (bidirectional) return source.unsupported(kBidirectional, "asks for attention to later tokens");

  MIAO_TRY(s.local_rope, read_local_rope(source, attn.rotary_dim, s.ctx, 10000));
  MIAO_TRY(s.window, source.integer({"attention.sliding_window", "sliding_window"}, 0, int64_t{1} << 30,
                                    source.gguf() ? 0 : 4096));
  MIAO_TRY(int64_t pattern, source.integer({nullptr, "sliding_window_pattern"}, 1, 1000, 6));
  std::vector<bool> rule(static_cast<size_t>(s.layers));
  for (size_t i = 0; i < rule.size(); ++i) rule[i] = (static_cast<int64_t>(i) + 1) % pattern != 0;
  MIAO_CHECK_OK(set_sliding_layers(source, s, rule));
  return s;
}

extern const Family gemma3_family = {
    .name = "gemma3",
    .answers_to = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "gguf:gemma3"},
    .spec = spec,
    .names = kNames};

}  // namespace miao::models
