// T5, Flan-T5 and mT5: RMS norms, no biases, scores without a scale but with a bias by distance that all layers of a
// side share. The first version ties the output matrix and scales what it reads.
#include <cmath>
#include <memory>

#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "shared"},
    {"enc.token_embd", "embed_tokens"},
    {"dec.token_embd", "embed_tokens"},
    {"distance_bias", "block.0.layer.0.SelfAttention.relative_attention_bias"},
    {"output_norm", "final_layer_norm"},
    {"attn_norm", "layer.0.layer_norm"},
    {"attn_q", "layer.0.SelfAttention.q"},
    {"attn_k", "layer.0.SelfAttention.k"},
    {"attn_v", "layer.0.SelfAttention.v"},
    {"attn_output", "layer.0.SelfAttention.o"},
    {"cross_attn_norm", "layer.1.layer_norm"},
    {"cross_attn_q", "layer.1.EncDecAttention.q"},
    {"cross_attn_k", "layer.1.EncDecAttention.k"},
    {"cross_attn_v", "layer.1.EncDecAttention.v"},
    {"cross_attn_output", "layer.1.EncDecAttention.o"},
    {"enc.ffn_norm", "layer.1.layer_norm"},
    {"enc.ffn_gate", "layer.1.DenseReluDense.wi_0"},
    {"enc.ffn_up", "layer.1.DenseReluDense.wi_1|layer.1.DenseReluDense.wi"},
    {"enc.ffn_down", "layer.1.DenseReluDense.wo"},
    {"dec.ffn_norm", "layer.2.layer_norm"},
    {"dec.ffn_gate", "layer.2.DenseReluDense.wi_0"},
    {"dec.ffn_up", "layer.2.DenseReluDense.wi_1|layer.2.DenseReluDense.wi"},
    {"dec.ffn_down", "layer.2.DenseReluDense.wo"},
};
static constexpr TensorName kGguf[] = {
    {"distance_bias", "blk.0.attn_rel_b"},
    {"attn_output", "attn_o"},
    {"cross_attn_output", "cross_attn_o"},
};

constexpr int64_t kMaxLayers = 1000;
constexpr int64_t kMaxDim = 1 << 16;

static Result<ModelSpec> side(const Source& source, bool encoder) {
  constexpr Key kAct{nullptr, "feed_forward_proj"};
  ModelSpec s;
  AttentionSpec& a = s.block.attn;
  FfnSpec& f = s.block.ffn;
  const TensorView* embedding = source.find("token_embd.weight");
  const int64_t rows = embedding ? embedding->rows() : 32128;
  MIAO_TRY(s.vocab, source.integer({"vocab_size", "vocab_size"}, 1, int64_t{1} << 24, rows));
  MIAO_TRY(s.dim, source.integer({"embedding_length", "d_model"}, 1, kMaxDim, 512));
  MIAO_TRY(s.layers, source.integer({kLayers.gguf, "num_layers"}, 1, kMaxLayers, 6));
  if (!encoder) {
    MIAO_TRY(s.layers, source.integer(kDecoderLayers, 1, kMaxLayers, s.layers));
  }
  MIAO_TRY(s.ctx, source.integer({"context_length", "n_positions"}, 1, 1 << 16, 512));
  MIAO_TRY(s.eps, source.number({"attention.layer_norm_rms_epsilon", "layer_norm_epsilon"}, 1e-12, 0.1, 1e-6));
  MIAO_TRY(a.heads, source.integer({"attention.head_count", "num_heads"}, 1, 1 << 12, 8));
  MIAO_TRY(a.head_dim, source.integer({"attention.key_length", "d_kv"}, 1, 1024, 64));
  a.kv_heads = a.heads;
  a.scale = 1;
  MIAO_TRY(s.distance_buckets, source.integer(kDistanceBuckets, 4, 4096, 32));
  MIAO_TRY(s.distance_farthest,
           source.integer({nullptr, "relative_attention_max_distance"}, s.distance_buckets, 1 << 20, 128));
  MIAO_TRY(f.dim, source.integer({"feed_forward_length", "d_ff"}, 1, kMaxDim, 2048));
  const std::string gate = (encoder ? "enc." : "dec.") + std::string("blk.0.ffn_gate.weight");
  f.gated = source.find(gate) != nullptr;
  std::string act = f.gated ? "gated-gelu" : "relu";
  if (!source.gguf()) {
    MIAO_TRY(act, source.string(kAct, act));
  }
  if (act.starts_with("gated-") != f.gated) {
    return source.invalid(kAct, "is '" + act + "', which does not fit the tensors of the FFN");
  }
  if (f.gated) act = act.substr(6);
  const std::optional<kernels::Act> known = act_of(f.gated && act == "gelu" ? "gelu_new" : act);
  if (!known) return source.unsupported(kAct, "is '" + act + "', expected relu, gelu, gelu_new, silu or tanh");
  f.act = *known;
  s.sliding.assign(static_cast<size_t>(s.layers), false);
  s.side = encoder ? "enc." : "dec.";
  return s;
}

static Result<ModelSpec> encoder_spec_of(const Source& source) {
  MIAO_TRY(ModelSpec s, side(source, true));
  s.shape = ModelSpec::Shape::encoder;
  s.name = source.model_name();
  return s;
}

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec encoder, side(source, true));
  MIAO_TRY(ModelSpec s, side(source, false));
  encoder.shape = ModelSpec::Shape::encoder;
  s.shape = ModelSpec::Shape::encoder_decoder;
  s.name = source.model_name();
  s.block.cross = BlockSpec::Cross::separate;
  // Version 1.1 wrote tie_word_embeddings off, and newer files say the scale alone. What is tied the tensors say.
  s.tied = source.find("output.weight") == nullptr;
  bool scaled = s.tied;
  if (!source.gguf()) {
    MIAO_TRY(scaled, source.boolean({nullptr, "tie_word_embeddings"}, true));
    MIAO_TRY(scaled, source.boolean({nullptr, "scale_decoder_outputs"}, scaled));
  }
  if (scaled) s.logit_scale = 1 / std::sqrt(static_cast<double>(s.dim));
  s.encoder = std::make_shared<const ModelSpec>(std::move(encoder));
  return s;
}

static void write_keys(const ModelSpec& s, KeyWriter& keys) {
  keys.number(kLayerNormEps, s.eps);  // readers want both
  keys.count(kDistanceBuckets, s.distance_buckets);
  if (s.encoder) keys.count(kDecoderLayers, s.layers);
}

extern const Family t5_family = {
    .name = "t5",
    .shape = ModelSpec::Shape::encoder_decoder,
    .answers_to = {"T5ForConditionalGeneration", "T5WithLMHeadModel", "MT5ForConditionalGeneration", "gguf:t5"},
    .spec = spec,
    .hf = {.root = "", .blocks = "block.", .tensors = kNames, .gguf = kGguf},
    .gguf = {.architecture = "t5", .scaled_tie = true, .keys = write_keys}};
extern const Family t5_encoder_family = {.name = "t5_encoder",
                                         .shape = ModelSpec::Shape::encoder,
                                         .answers_to = {"T5EncoderModel", "MT5EncoderModel", "gguf:t5encoder"},
                                         .spec = encoder_spec_of,
                                         .hf = {.root = "", .blocks = "block.", .tensors = kNames, .gguf = kGguf},
                                         .gguf = {.architecture = "t5encoder", .keys = write_keys}};

}  // namespace miao::models
