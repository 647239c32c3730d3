// OPT: learned positions from row 2 on, LayerNorm, plain ReLU FFN. The 350M model norms behind the sums and has
// embeddings of their own width.
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"position_embd", "embed_positions"},
    {"output_norm", "final_layer_norm"},
    {"project_in", "project_in"},
    {"project_out", "project_out"},
    {"attn_norm", "self_attn_layer_norm"},
    {"attn_output", "self_attn.out_proj"},
    {"ffn_norm", "final_layer_norm"},
    {"ffn_up", "fc1"},
    {"ffn_down", "fc2"},
    {"attn_output_norm", "self_attn_layer_norm"},
    {"layer_output_norm", "final_layer_norm"},
};
static constexpr KeyName kKeys[] = {{"intermediate_size", "ffn_dim"}};

static Result<ModelSpec> spec(const Source& source) {
  constexpr int64_t kOffset = 2;
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.tied = true,
                                              .heads = 12,
                                              .vocab = 50272,
                                              .ctx = 2048,
                                              .eps = 1e-5,
                                              .act_key = "activation_function",
                                              .act = "relu",
                                              .layer_norm = true,
                                              .rotary = false}));
  constexpr Key kAffine{nullptr, "layer_norm_elementwise_affine"};
  MIAO_TRY(bool affine, source.boolean(kAffine, true));
  if (!affine) return source.unsupported(kAffine, "is off: norms without weights");
  MIAO_TRY(bool before, source.boolean({nullptr, "do_layer_norm_before"}, true));
  MIAO_TRY(bool removed, source.boolean({nullptr, "_remove_final_layer_norm"}, false));
  s.block.pre_norms = before;
  s.block.after_norms = !before;
  s.output_norm = before && !removed;
  MIAO_TRY(s.embedding_dim, source.integer({nullptr, "word_embed_proj_dim"}, 1, 1 << 20, s.dim));
  if (s.embedding_dim == s.dim) s.embedding_dim = 0;
  AttentionSpec& attn = s.block.attn;
  MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "enable_bias"}, true));
  attn.o_bias = s.block.ffn.bias = attn.qkv_bias;
  s.block.ffn.gated = false;
  s.positions = s.ctx + kOffset;
  s.position_offset = kOffset;
  return s;
}

extern const Family opt_family = {.name = "opt",
                                  .answers_to = {"OPTForCausalLM"},
                                  .spec = spec,
                                  .hf = {.root = "model.decoder.", .tensors = kNames, .keys = kKeys}};

}  // namespace miao::models
