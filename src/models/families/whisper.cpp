// Whisper: frames of log-mel features instead of ids, two convolutions in front of the encoder. From Hugging Face's
// files and from CTranslate2's, which say the sizes only by their tensors.
#include <cmath>
#include <memory>

#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embed_tokens"},
    {"position_embd", "embed_positions"},
    {"output", "/proj_out"},
    {"conv1", "conv1"},
    {"conv2", "conv2"},
    {"output_norm", "layer_norm"},
    {"attn_norm", "self_attn_layer_norm"},
    {"attn_output", "self_attn.out_proj"},
    {"cross_attn_norm", "encoder_attn_layer_norm"},
    {"cross_attn_q", "encoder_attn.q_proj"},
    {"cross_attn_k", "encoder_attn.k_proj"},
    {"cross_attn_v", "encoder_attn.v_proj"},
    {"cross_attn_output", "encoder_attn.out_proj"},
    {"ffn_norm", "final_layer_norm"},
    {"ffn_up", "fc1"},
    {"ffn_down", "fc2"},
};
static constexpr TensorName kCt2Names[] = {
    {"token_embd", "embeddings"},
    {"position_embd", "position_encodings/encodings!"},
    {"output", "projection"},
    {"conv1", "conv1"},
    {"conv2", "conv2"},
    {"output_norm", "layer_norm"},
    {"attn_norm", "self_attention/layer_norm"},
    {"attn_qkv", "self_attention/linear_0"},
    {"attn_output", "self_attention/linear_1"},
    {"cross_attn_norm", "attention/layer_norm"},
    {"cross_attn_q", "attention/linear_0"},
    {"cross_attn_kv", "attention/linear_1"},
    {"cross_attn_output", "attention/linear_2"},
    {"ffn_norm", "ffn/layer_norm"},
    {"ffn_up", "ffn/linear_0"},
    {"ffn_down", "ffn/linear_1"},
};

static Result<ModelSpec> hugging_face_spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_decoder_spec(source, {.source_positions = "max_source_positions",
                                                      .target_positions = "max_target_positions",
                                                      .vocab = 51865,
                                                      .dim = 384,
                                                      .layers = 4,
                                                      .heads = 6,
                                                      .ffn_dim = 1536}));
  ModelSpec encoder = *s.encoder;
  MIAO_TRY(encoder.features, source.integer({nullptr, "num_mel_bins"}, 1, 1024, 80));
  MIAO_TRY(encoder.ctx, source.integer({nullptr, "max_source_positions"}, 1, 1 << 16, 1500));
  MIAO_TRY(s.ctx, source.integer({nullptr, "max_target_positions"}, 1, 1 << 16, 448));
  encoder.positions = encoder.ctx;
  s.positions = s.ctx;
  encoder.embedding_scale = s.embedding_scale = 1;
  encoder.block.attn.k_bias = s.block.attn.k_bias = false;
  s.encoder = std::make_shared<const ModelSpec>(std::move(encoder));
  return s;
}

// Sizes of the tensors; those that are missing or strange are reported where they are read.
static int64_t size_of(const Source& source, const char* tensor, size_t axis) {
  const TensorView* t = source.find(tensor);
  return t && axis < t->shape.size() ? t->shape[axis] : 1;
}

static Result<int64_t> heads_of(const Source& source, const char* scalar) {
  const TensorView* t = source.checkpoint().find(scalar);
  if (!t || t->bytes < 1 || t->bytes > 4) return Error{Code::not_found, "the number of heads is missing", scalar};
  int64_t heads = 0;
  for (uint64_t i = t->bytes; i-- > 0;) heads = heads * 256 + static_cast<int64_t>(t->data[i]);
  return heads;
}

static Result<ModelSpec> ct2_side(const Source& source, bool encoder) {
  ModelSpec s;
  const std::string side = encoder ? "enc." : "dec.", blk = side + "blk.";
  const auto size = [&](const std::string& stem, size_t axis) {
    return size_of(source, (stem + ".weight").c_str(), axis);
  };
  s.side = side;
  s.vocab = size("dec.token_embd", 0);
  s.dim = size("dec.token_embd", 1);
  s.positions = s.ctx = size(side + "position_embd", 0);
  if (encoder) s.features = size("enc.conv1", 1);
  while (source.find(blk + std::to_string(s.layers) + ".ffn_up.weight")) ++s.layers;
  AttentionSpec& a = s.block.attn;
  MIAO_TRY(a.heads, heads_of(source, encoder ? "encoder/num_heads" : "decoder/num_heads"));
  if (s.layers < 1) return Error{Code::not_found, "there are no blocks", source.place(blk + "0")};
  if (a.heads < 1 || s.dim % a.heads != 0 || s.dim / a.heads > 1024) {
    return Error{Code::invalid,
                 std::to_string(a.heads) + " heads do not divide " + std::to_string(s.dim) + " dimensions",
                 source.place(side + "num_heads")};
  }
  a.kv_heads = a.heads;
  a.head_dim = s.dim / a.heads;
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  a.qkv_bias = a.o_bias = s.block.ffn.bias = true;
  a.fused = AttentionSpec::Fused::stacked;
  s.block.ffn.dim = size(blk + "0.ffn_up", 0);
  s.block.ffn.gated = false;
  s.block.ffn.act = kernels::Act::gelu;
  s.eps = 1e-5;
  s.layer_norm = s.norm_bias = true;
  s.sliding.assign(static_cast<size_t>(s.layers), false);
  return s;
}

static Result<ModelSpec> spec(const Source& source) {
  if (!source.ct2()) return hugging_face_spec(source);
  MIAO_TRY(ModelSpec encoder, ct2_side(source, true));
  MIAO_TRY(ModelSpec s, ct2_side(source, false));
  encoder.shape = ModelSpec::Shape::encoder;
  s.shape = ModelSpec::Shape::encoder_decoder;
  s.name = source.model_name();
  s.block.cross = BlockSpec::Cross::stacked;
  s.tied = true;
  s.encoder = std::make_shared<const ModelSpec>(std::move(encoder));
  return s;
}

extern const Family whisper_family = {.name = "whisper",
                                      .shape = ModelSpec::Shape::encoder_decoder,
                                      .answers_to = {"WhisperForConditionalGeneration", "ct2:WhisperSpec"},
                                      .spec = spec,
                                      .hf = {.tensors = kNames},
                                      .ct2 = {.root = "",
                                              .blocks = "layer_",
                                              .encoder = "encoder/",
                                              .decoder = "decoder/",
                                              .slashes = true,
                                              .tensors = kCt2Names}};

}  // namespace miao::models
