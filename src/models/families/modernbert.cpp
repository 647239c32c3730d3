// ModernBERT: norms before attention and FFN, rotations instead of positions, gated GELU, and two layers that see 64
// tokens to either side for each one that sees all.
#include "models/family.h"
#include "models/keys.h"
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

static constexpr Key kPooling{"classifier.pooling_type", "classifier_pooling"};
static constexpr Key kLocal{"attention.sliding_window", "local_attention"};
static constexpr Key kPattern{"attention.sliding_window_pattern", "global_attn_every_n_layers"};
static constexpr Key kAct{"hidden_activation", "hidden_activation"};
constexpr uint32_t kMean = 1, kFirst = 2;  // of llama.cpp's poolings

// GGUF files do not say which biases there are; they hold them.
static Result<bool> bias(const Source& source, const char* key, const char* tensor) {
  return source.gguf() ? Result<bool>(source.find(tensor) != nullptr) : source.boolean({nullptr, key}, false);
}

// How a sequence's row is found for its classes. llama.cpp takes the mean where the file does not say.
static Result<SentenceSpec::Pool> classifier_pool(const Source& source) {
  if (source.gguf()) {
    MIAO_TRY(int64_t type, source.integer(kPooling, kMean, kFirst, kMean));
    return type == kMean ? SentenceSpec::Pool::mean : SentenceSpec::Pool::first;
  }
  MIAO_TRY(std::string pooling, source.string(kPooling, "cls"));
  if (pooling != "cls" && pooling != "mean") return source.unsupported(kPooling, "is '" + pooling + "'");
  return pooling == "mean" ? SentenceSpec::Pool::mean : SentenceSpec::Pool::first;
}

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_spec(source, {.vocab = 50368,
                                              .ctx = 8192,
                                              .eps = 1e-5,
                                              .act_key = kAct.hf,
                                              .learned_positions = false,
                                              .token_types = 0,
                                              .biases = false}));
  AttentionSpec& attn = s.block.attn;
  constexpr Key kOtherEps{"attention.layer_norm_rms_epsilon", nullptr};  // llama.cpp's converter calls it that
  MIAO_TRY(s.eps, source.number(kOtherEps, 1e-20, 0.1, s.eps));
  MIAO_TRY(s.norm_bias, bias(source, "norm_bias", "token_embd_norm.bias"));
  MIAO_TRY(attn.qkv_bias, bias(source, "attention_bias", "blk.0.attn_qkv.bias"));
  MIAO_TRY(s.block.ffn.bias, bias(source, "mlp_bias", "blk.0.ffn_up.bias"));
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
  MIAO_TRY(int64_t local, source.integer(kLocal, 2, int64_t{1} << 30, 128));
  s.window = local / 2 + 1;  // less than so many tokens away
  MIAO_TRY(int64_t pattern, source.integer(kPattern, 1, 1000, 3));
  std::vector<bool> rule(static_cast<size_t>(s.layers));
  for (size_t i = 0; i < rule.size(); ++i) rule[i] = static_cast<int64_t>(i) % pattern != 0;
  MIAO_CHECK_OK(set_sliding_layers(source, s, rule));

  HeadSpec& h = s.head;
  if (h.task == HeadSpec::Task::hidden) return s;
  h.dense = h.dense_norm = true;
  MIAO_TRY(h.dense_bias, bias(source, "classifier_bias", "cls.bias"));
  MIAO_TRY(h.pool, classifier_pool(source));
  constexpr Key kHeadAct{nullptr, "classifier_activation"};
  MIAO_TRY(std::string act_name, source.string(kHeadAct, "gelu"));
  const std::optional<kernels::Act> act = act_of(act_name);
  if (!act) return source.unsupported(kHeadAct, "is '" + act_name + "'");
  h.act = *act;
  return s;
}

static void write_keys(const ModelSpec& s, KeyWriter& keys) {
  keys.text(kAct, act_name(s.block.ffn.act));
  keys.number(kLocalTheta, s.local_rope.theta);
  keys.count(kLocal, 2 * (s.window - 1));
  for (size_t n = 1; n <= s.sliding.size(); ++n) {  // every n-th layer from the first on sees all
    bool all = true;
    for (size_t i = 0; i < s.sliding.size(); ++i) all &= s.sliding[i] == (i % n != 0);
    if (!all) continue;
    keys.count(kPattern, static_cast<int64_t>(n));
    break;
  }
  if (s.head.task == HeadSpec::Task::sequence)
    keys.count(kPooling, s.head.pool == SentenceSpec::Pool::mean ? kMean : kFirst);
}

extern const Family modernbert_family = {
    .name = "modernbert",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"ModernBertModel", "ModernBertForMaskedLM", "ModernBertForSequenceClassification",
                   "ModernBertForTokenClassification", "ModernBertForQuestionAnswering", "gguf:modern-bert"},
    .spec = spec,
    .hf = {.root = "model.", .tensors = kNames, .keys = kKeys},
    .gguf = {.architecture = "modern-bert", .keys = write_keys}};

}  // namespace miao::models
