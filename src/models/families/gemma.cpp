// Gemma 1, 2 and 3 (text): norms stored minus one in Hugging Face files, gated tanh GELU, scaled embeddings. Gemma 2
// adds norms behind attention and FFN ("sandwich"), caps on scores and logits, and a sliding window on every other
// layer; Gemma 3 has q/k norms instead of the caps, and five sliding layers with a rotation of their own for each full
// one.
#include <cmath>

#include "models/family.h"
#include "models/keys.h"
#include "models/rope.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"ffn_norm", "pre_feedforward_layernorm"},
                                        {"post_attention_norm", "post_attention_layernorm"},
                                        {"post_ffw_norm", "post_feedforward_layernorm"}};

// What all three share. The activation is the tanh GELU whatever "hidden_act" says: published files of Gemma 1 carry
// "gelu" there by mistake.
static Result<ModelSpec> shared_spec(const Source& source, DecoderDefaults defaults) {
  defaults.tied = true;
  defaults.head_dim = 256;
  defaults.eps = 1e-6;
  defaults.act_key = "hidden_activation";
  defaults.act = "gelu_pytorch_tanh";
  constexpr Key kMistaken{nullptr, "hidden_act"};
  MIAO_TRY(const std::string mistaken, source.string(kMistaken, defaults.act));
  if (!act_of(mistaken)) return source.unsupported(kMistaken, "is '" + mistaken + "', expected gelu_pytorch_tanh");
  MIAO_TRY(ModelSpec s, decoder_spec(source, defaults));
  AttentionSpec& attn = s.block.attn;
  s.norm_plus_one = !source.gguf();
  s.embedding_scale = std::sqrt(static_cast<double>(s.dim));
  if (!source.gguf()) {
    MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
    attn.o_bias = attn.qkv_bias;
  }
  constexpr Key kBidirectional{nullptr, "use_bidirectional_attention"};
  MIAO_TRY(bool bidirectional, source.boolean(kBidirectional, false));
  if (bidirectional) return source.unsupported(kBidirectional, "asks for attention to later tokens");
  return s;
}

// GGUF files do not say the query scale; it is that of the heads but for one size of each generation.
static Result<void> set_scale(const Source& source, ModelSpec& s, int64_t layers_27b) {
  AttentionSpec& attn = s.block.attn;
  if (source.gguf()) {
    if (s.layers == layers_27b) attn.scale = 1 / std::sqrt(static_cast<double>(s.dim / attn.heads));
    return {};
  }
  MIAO_TRY(double scalar, source.number({nullptr, "query_pre_attn_scalar"}, 1, 1e6, 256));
  attn.scale = 1 / std::sqrt(scalar);
  return {};
}

static Result<void> set_caps(const Source& source, ModelSpec& s, double scores, double logits) {
  MIAO_TRY(s.block.attn.softcap, source.number(kScoreCap, 0, 1e6, scores));
  MIAO_TRY(s.final_softcap, source.number(kLogitCap, 0, 1e6, logits));
  return {};
}

// Layer i is full when i + 1 is a multiple of `pattern`.
static Result<void> set_window(const Source& source, ModelSpec& s, int64_t pattern, int64_t gguf_default) {
  MIAO_TRY(s.window, source.integer(kWindow, 0, int64_t{1} << 30, source.gguf() ? gguf_default : 4096));
  std::vector<bool> rule(static_cast<size_t>(s.layers));
  for (size_t i = 0; i < rule.size(); ++i) rule[i] = (static_cast<int64_t>(i) + 1) % pattern != 0;
  return set_sliding_layers(source, s, rule);
}

static Result<ModelSpec> gemma_spec(const Source& source) {
  return shared_spec(source, {.heads = 16, .kv_heads = 16, .vocab = 256000, .ctx = 8192});
}

static Result<ModelSpec> gemma2_spec(const Source& source) {
  constexpr int64_t kLayers27B = 46;
  MIAO_TRY(ModelSpec s, shared_spec(source, {.heads = 8, .kv_heads = 4, .vocab = 256000, .ctx = 8192}));
  s.block.post_norms = true;
  MIAO_CHECK_OK(set_scale(source, s, kLayers27B));
  MIAO_CHECK_OK(set_caps(source, s, 50, 30));
  s.local_rope = s.rope;
  MIAO_CHECK_OK(set_window(source, s, 2, 4096));
  return s;
}

static Result<ModelSpec> gemma3_spec(const Source& source) {
  constexpr int64_t kLayers27B = 62;
  MIAO_TRY(ModelSpec s, shared_spec(source, {.theta = 1e6, .heads = 8, .kv_heads = 4, .vocab = 262208, .ctx = 131072}));
  s.block.attn.qk_norm = AttentionSpec::QkNorm::head;
  s.block.post_norms = true;
  MIAO_CHECK_OK(set_scale(source, s, kLayers27B));
  MIAO_CHECK_OK(set_caps(source, s, 0, 0));
  MIAO_TRY(s.local_rope, read_local_rope(source, s.block.attn.rotary_dim, s.ctx, 10000));
  MIAO_TRY(int64_t pattern, source.integer({nullptr, "sliding_window_pattern"}, 1, 1000, 6));
  MIAO_CHECK_OK(set_window(source, s, pattern, 0));
  return s;
}

static void write_local_theta(const ModelSpec& s, KeyWriter& keys) { keys.number(kLocalTheta, s.local_rope.theta); }

extern const Family gemma_family = {.name = "gemma",
                                    .answers_to = {"GemmaForCausalLM", "gguf:gemma"},
                                    .spec = gemma_spec,
                                    .gguf = {.architecture = "gemma"}};
extern const Family gemma2_family = {.name = "gemma2",
                                     .answers_to = {"Gemma2ForCausalLM", "gguf:gemma2"},
                                     .spec = gemma2_spec,
                                     .hf = {.tensors = kNames},
                                     .gguf = {.architecture = "gemma2", .window = true}};
extern const Family gemma3_family = {
    .name = "gemma3",
    .answers_to = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "gguf:gemma3"},
    .spec = gemma3_spec,
    .hf = {.tensors = kNames},
    .gguf = {.architecture = "gemma3", .window = true, .keys = write_local_theta}};

}  // namespace miao::models
