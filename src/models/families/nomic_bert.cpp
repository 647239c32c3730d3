// Nomic BERT: BERT with rotations instead of positions, gated SiLU, and no biases but those of norms.
#include "models/family.h"
#include "models/rope.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "emb_ln"},
    {"attn_qkv", "attn.Wqkv"},
    {"attn_output", "attn.out_proj"},
    {"attn_output_norm", "norm1"},
    {"ffn_up", "mlp.fc11"},
    {"ffn_gate", "mlp.fc12"},
    {"ffn_down", "mlp.fc2"},
    {"layer_output_norm", "norm2"},
    {"cls", "pooler.dense"},
    {"cls.output", "/classifier"},
    {"token_cls.output", "/classifier"},
};

// Of files older than transformers' own class.
static constexpr KeyName kKeys[] = {
    {"hidden_size", "n_embd"},
    {"num_hidden_layers", "n_layer"},
    {"num_attention_heads", "n_head"},
    {"intermediate_size", "n_inner"},
    {"max_position_embeddings", "n_positions"},
    {"layer_norm_eps", "layer_norm_epsilon"},
    {"rope_theta", "rotary_emb_base"},
};

static Result<void> check_switches(const Source& source) {
  constexpr Key kFfn{nullptr, "activation_function"}, kShare{nullptr, "rotary_emb_fraction"};
  constexpr Key kStretch{nullptr, "rotary_scaling_factor"};
  for (const Key key : {Key{nullptr, "prenorm"}, Key{nullptr, "rotary_emb_interleaved"}}) {
    MIAO_TRY(bool on, source.boolean(key, false));
    if (on) return source.unsupported(key, "is set");
  }
  MIAO_TRY(std::string ffn, source.string(kFfn, "swiglu"));
  if (ffn != "swiglu") return source.unsupported(kFfn, "is '" + ffn + "', expected swiglu");
  MIAO_TRY(double share, source.number(kShare, 0, 1, 1));
  if (share != 1) return source.unsupported(kShare, "is not 1");
  if (source.has(kStretch)) return source.unsupported(kStretch, "is set");
  return {};
}

static Result<ModelSpec> spec(const Source& source) {
  MIAO_CHECK_OK(check_switches(source));
  MIAO_TRY(
      ModelSpec s,
      encoder_spec(source, {.vocab = 30528, .ctx = 2048, .act = "silu", .learned_positions = false, .biases = false}));
  AttentionSpec& attn = s.block.attn;
  attn.fused = AttentionSpec::Fused::stacked;
  s.block.ffn.gated = true;
  attn.rotary_dim = attn.head_dim;
  if (attn.rotary_dim % 2 != 0) {
    return source.invalid({"attention.head_count", "num_attention_heads"}, "gives an odd rotation");
  }
  MIAO_TRY(s.rope, read_rope(source, attn.rotary_dim, s.ctx, 1000));
  return s;
}

extern const Family nomic_bert_family = {
    .name = "nomic_bert",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"NomicBertModel", "NomicBertForMaskedLM", "NomicBertForSequenceClassification",
                   "NomicBertForTokenClassification", "gguf:nomic-bert"},
    .spec = spec,
    .hf = {.root = "nomic_bert.", .blocks = "encoder.layers.", .tensors = kNames, .keys = kKeys},
    .gguf = {.architecture = "nomic-bert"}};

}  // namespace miao::models
