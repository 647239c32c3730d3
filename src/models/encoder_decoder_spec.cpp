// The spec that the kin of BART share: keys and defaults of both sides; see family.h.
#include <cmath>
#include <memory>

#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

namespace {

constexpr int64_t kMaxLayers = 1000;
constexpr int64_t kMaxDim = 1 << 16;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int64_t kMaxPositions = 1 << 16;
constexpr int64_t kMaxVocab = int64_t{1} << 24;

constexpr Key kWidth{"decoder.embedding_length", "d_model"};
constexpr Key kAct{nullptr, "activation_function"};

// What is called differently on either side.
struct SideKeys {
  Key layers, heads, ffn_dim, positions;
};

Result<ModelSpec> side(const Source& source, const EncoderDecoderDefaults& defaults, const SideKeys& keys,
                       const char* name) {
  ModelSpec s;
  s.side = name;
  AttentionSpec& a = s.block.attn;
  FfnSpec& f = s.block.ffn;
  MIAO_TRY(s.vocab, source.integer(kVocab, 1, kMaxVocab, defaults.vocab));
  MIAO_TRY(s.dim, source.integer(kWidth, 1, kMaxDim, defaults.dim));
  MIAO_TRY(s.layers, source.integer(keys.layers, 1, kMaxLayers, defaults.layers));
  MIAO_TRY(a.heads, source.integer(keys.heads, 1, kMaxDim, defaults.heads));
  MIAO_TRY(f.dim, source.integer(keys.ffn_dim, 1, kMaxDim, defaults.ffn_dim));
  MIAO_TRY(s.ctx, source.integer(keys.positions, 1, kMaxPositions, defaults.positions));
  if (s.dim % a.heads != 0) return source.invalid(keys.heads, "does not divide " + source.name(kWidth));
  a.kv_heads = a.heads;
  a.head_dim = s.dim / a.heads;
  if (a.head_dim > kMaxHeadDim) {
    return source.invalid(keys.heads, "gives heads of more than " + std::to_string(kMaxHeadDim) + " values");
  }
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  a.qkv_bias = a.o_bias = f.bias = true;
  f.gated = false;
  MIAO_TRY(const std::string act, source.string(kAct, defaults.act));
  const std::optional<kernels::Act> known = act_of(act);
  if (!known) return source.unsupported(kAct, "is '" + act + "', expected gelu, gelu_new, relu, silu or tanh");
  f.act = *known;
  MIAO_TRY(const bool scaled, source.boolean({nullptr, "scale_embedding"}, defaults.scaled_embedding));
  if (scaled) s.embedding_scale = std::sqrt(static_cast<double>(s.dim));
  s.eps = 1e-5;  // of PyTorch's LayerNorm; the files do not say it
  s.layer_norm = s.norm_bias = true;
  s.output_norm = s.block.pre_norms = defaults.pre_norms;
  s.block.after_norms = !defaults.pre_norms;
  s.embedding_norm = defaults.embedding_norm;
  if (!source.find(s.side + "position_embd.weight")) s.sinusoids = defaults.sinusoids;
  s.position_offset = defaults.position_offset;
  s.positions = s.ctx + s.position_offset;
  if (s.sinusoids != ModelSpec::Sinusoids::none && s.dim % 2 != 0) {
    return source.unsupported(kWidth, "is odd, and positions are sines and cosines");
  }
  s.sliding.assign(static_cast<size_t>(s.layers), false);
  return s;
}

}  // namespace

Result<ModelSpec> encoder_decoder_spec(const Source& source, const EncoderDecoderDefaults& defaults) {
  MIAO_TRY(ModelSpec encoder, side(source, defaults,
                                   {{kEncoderKeys.layers, "encoder_layers"},
                                    {kEncoderKeys.heads, "encoder_attention_heads"},
                                    {kEncoderKeys.ffn_dim, "encoder_ffn_dim"},
                                    {kEncoderKeys.ctx, defaults.source_positions}},
                                   "enc."));
  MIAO_TRY(ModelSpec s, side(source, defaults,
                             {{kDecoderKeys.layers, "decoder_layers"},
                              {kDecoderKeys.heads, "decoder_attention_heads"},
                              {kDecoderKeys.ffn_dim, "decoder_ffn_dim"},
                              {kDecoderKeys.ctx, defaults.target_positions}},
                             "dec."));
  encoder.shape = ModelSpec::Shape::encoder;
  s.shape = ModelSpec::Shape::encoder_decoder;
  s.name = source.model_name();
  s.block.cross = BlockSpec::Cross::separate;
  MIAO_TRY(s.tied, source.boolean({nullptr, "tie_word_embeddings"}, true));
  s.output_bias = source.find("final_logits_bias.weight") != nullptr;
  s.encoder = std::make_shared<const ModelSpec>(std::move(encoder));
  return s;
}

}  // namespace miao::models
