// GPT-2: learned positions, LayerNorm, plain FFN, biases everywhere; Hugging Face files hold every matrix of a block
// transposed (their "Conv1D"), and q, k and v in one.
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "wte"}, {"position_embd", "wpe"},    {"output_norm", "ln_f"},
    {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc"},      {"ffn_down", "mlp.c_proj"},
};
static constexpr KeyName kKeys[] = {{"hidden_size", "n_embd"},         {"num_hidden_layers", "n_layer"},
                                    {"num_attention_heads", "n_head"}, {"max_position_embeddings", "n_positions"},
                                    {"intermediate_size", "n_inner"},  {"layer_norm_eps", "layer_norm_epsilon"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.tied = true,
                                              .heads = 12,
                                              .vocab = 50257,
                                              .ctx = 1024,
                                              .eps = 1e-5,
                                              .act_key = "activation_function",
                                              .act = "gelu_new",
                                              .layer_norm = true,
                                              .rotary = false,
                                              .ffn_times_dim = 4}));
  for (const Key key : {Key{nullptr, "scale_attn_by_inverse_layer_idx"}, Key{nullptr, "add_cross_attention"}}) {
    MIAO_TRY(bool on, source.boolean(key, false));
    if (on) return source.unsupported(key, "is set");
  }
  constexpr Key kScales{nullptr, "scale_attn_weights"};
  MIAO_TRY(bool scales, source.boolean(kScales, true));
  AttentionSpec& attn = s.block.attn;
  if (!scales) attn.scale = 1;
  attn.qkv_bias = attn.o_bias = s.block.ffn.bias = true;
  attn.fused = AttentionSpec::Fused::stacked;
  s.block.ffn.gated = false;
  s.positions = s.ctx;
  s.transposed = !source.gguf();
  return s;
}

extern const Family gpt2_family = {.name = "gpt2",
                                   .answers_to = {"GPT2LMHeadModel", "gguf:gpt2"},
                                   .spec = spec,
                                   .hf = {.root = "transformer.", .blocks = "h.", .tensors = kNames, .keys = kKeys},
                                   .gguf = {.architecture = "gpt2"}};

}  // namespace miao::models
