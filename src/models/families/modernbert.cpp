// ModernBERT: norms before attention and FFN, rotations instead of positions, gated GELU, and two layers that see 64
// tokens to either side for each one that sees all.
#include "models/family.h"
#include "models/rope.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embeddings.tok_embeddings"},
    {"token_embd_norm", "embeddings.norm"},
    {"output_norm", "final_norm"},
    {"attn_norm", "attn_norm"},
    {"attn_qkv", "attn.Wqkv"},
    {"attn_output", "attn.Wo"},
    {"ffn_norm", "mlp_norm"},
    {"ffn_up", "mlp.Wi"},
    {"ffn_down", "mlp.Wo"},
    {"cls", "/head.dense"},
    {"cls.norm", "/head.norm"},
    {"cls.output", "/classifier"},
    {"token_cls.output", "/classifier"},
    {"span.output", "/classifier"},
};
static constexpr KeyName kKeys[] = {{"layer_norm_eps", "norm_eps"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_spec(source, {.vocab = 50368,
                                              .ctx = 8192,
                                              .eps = 1e-5,
                                              .act_key = "hidden_activation",
                                              .learned_positions = false,
                                              .token_types = 0,
                                              .biases = false}));
  AttentionSpec& attn = s.block.attn;
  MIAO_TRY(s.norm_bias, source.boolean({nullptr, "norm_bias"}, false));
  MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
  MIAO_TRY(s.block.ffn.bias, source.boolean({nullptr, "mlp_bias"}, false));
  attn.o_bias = attn.qkv_bias;
  attn.fused = AttentionSpec::Fused::stacked;
  s.block.ffn.gated = s.block.ffn.fused = true;
  s.block.pre_norms = true;
  s.block.after_norms = s.block.first_norm = false;
  s.output_norm = true;

  attn.rotary_dim = attn.head_dim;
  if (attn.rotary_dim % 2 != 0) return source.invalid({nullptr, "num_attention_heads"}, "gives an odd rotation");
  MIAO_TRY(double global_theta, source.number({nullptr, "global_rope_theta"}, 1, 1e12, 160000));
  MIAO_TRY(double local_theta, source.number({nullptr, "local_rope_theta"}, 1, 1e12, 10000));
  MIAO_TRY(s.rope, read_rope(source, attn.rotary_dim, s.ctx, global_theta));
  MIAO_TRY(s.local_rope, read_local_rope(source, attn.rotary_dim, s.ctx, local_theta));
  MIAO_TRY(int64_t local, source.integer({nullptr, "local_attention"}, 2, int64_t{1} << 30, 128));
  s.window = local / 2 + 1;  // less than so many tokens away
  MIAO_TRY(int64_t pattern, source.integer({nullptr, "global_attn_every_n_layers"}, 1, 1000, 3));
  std::vector<bool> rule(static_cast<size_t>(s.layers));
  for (size_t i = 0; i < rule.size(); ++i) rule[i] = static_cast<int64_t>(i) % pattern != 0;
  MIAO_CHECK_OK(set_sliding_layers(source, s, rule));

  HeadSpec& h = s.head;
  if (h.task == HeadSpec::Task::hidden) return s;
  h.dense = h.dense_norm = true;
  MIAO_TRY(h.dense_bias, source.boolean({nullptr, "classifier_bias"}, false));
  constexpr Key kAct{nullptr, "classifier_activation"}, kPooling{nullptr, "classifier_pooling"};
  MIAO_TRY(std::string act_name, source.string(kAct, "gelu"));
  const std::optional<kernels::Act> act = act_of(act_name);
  if (!act) return source.unsupported(kAct, "is '" + act_name + "'");
  h.act = *act;
  MIAO_TRY(std::string pooling, source.string(kPooling, "cls"));
  if (pooling != "cls" && pooling != "mean") return source.unsupported(kPooling, "is '" + pooling + "'");
  h.pool = pooling == "mean" ? SentenceSpec::Pool::mean : SentenceSpec::Pool::first;
  return s;
}

extern const Family modernbert_family = {
    .name = "modernbert",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification",
                   "ModernBertForTokenClassification", "ModernBertForQuestionAnswering"},
    .spec = spec,
    .hf = {.root = "model.", .tensors = kNames, .keys = kKeys}};

}  // namespace miao::models
