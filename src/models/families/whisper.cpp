// Whisper: frames of log-mel features instead of ids, two convolutions in front of the encoder. From Hugging Face's
// files, from CTranslate2's, which say the sizes only by their tensors, and from GGUF files of our own.
//
// llama.cpp has no Whisper. The keys of its GGUF files are those that the format's specification names
// (whisper.encoder.mels_count and so on), names of tensors go by those of T5 there. q, k and v stand in one tensor or
// in three, as in the file that one was made from.
#include <cmath>
#include <memory>
#include <utility>

#include "models/family.h"
#include "models/keys.h"
#include "prep/audio.h"
#include "prep/mel.h"

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
static constexpr TensorName kGguf[] = {
    {"attn_output", "attn_o"},
    {"cross_attn_output", "cross_attn_o"},
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

// The features that the weights were trained on; they are the same for all versions.
static constexpr Key kMels{"encoder.mels_count", "num_mel_bins"};
static constexpr std::pair<Key, int64_t> kAudio[] = {
    {{"audio.sample_rate", nullptr}, prep::kAudioRate},                                  // samples a second
    {{"audio.fft_length", nullptr}, 2 * prep::MelSpectrogram::kReach},                   // samples
    {{"audio.hop_length", nullptr}, prep::MelSpectrogram::kHop},                         // samples
    {{"audio.chunk_length", nullptr}, prep::MelSpectrogram::kChunk / prep::kAudioRate},  // seconds
};

static Result<void> check_audio(const Source& source) {
  for (const auto& [key, usual] : kAudio) {
    MIAO_TRY(const int64_t value, source.integer(key, 0, INT64_MAX, usual));
    if (value != usual) {
      return source.unsupported(
          key, "is " + std::to_string(value) + ", and Whisper's features have " + std::to_string(usual));
    }
  }
  return {};
}

static void write_keys(const ModelSpec& s, KeyWriter& keys) {
  keys.count(kMels, s.encoder->features);
  for (const auto& [key, value] : kAudio) keys.count(key, value);
}

// What a GGUF file says by its tensors; Hugging Face's have one layout.
static void set_layout(const Source& source, ModelSpec& s) {
  const std::string block = s.side + "blk.0.";
  AttentionSpec& a = s.block.attn;
  a.k_bias = false;
  if (!source.gguf()) return;
  if (source.find(block + "attn_qkv.weight")) a.fused = AttentionSpec::Fused::stacked;
  a.k_bias = a.fused == AttentionSpec::Fused::stacked;
  if (s.block.cross != BlockSpec::Cross::none && source.find(block + "cross_attn_kv.weight"))
    s.block.cross = BlockSpec::Cross::stacked;
}

// Of Hugging Face and GGUF files.
static Result<ModelSpec> described_spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_decoder_spec(source, {.source_positions = "max_source_positions",
                                                      .target_positions = "max_target_positions",
                                                      .vocab = 51865,
                                                      .dim = 384,
                                                      .layers = 4,
                                                      .heads = 6,
                                                      .ffn_dim = 1536}));
  ModelSpec encoder = *s.encoder;
  MIAO_TRY(encoder.features, source.integer(kMels, 1, 1024, 80));
  MIAO_TRY(encoder.ctx, source.integer({kEncoderKeys.ctx, "max_source_positions"}, 1, 1 << 16, 1500));
  MIAO_TRY(s.ctx, source.integer({kDecoderKeys.ctx, "max_target_positions"}, 1, 1 << 16, 448));
  encoder.positions = encoder.ctx;
  s.positions = s.ctx;
  encoder.embedding_scale = s.embedding_scale = 1;
  set_layout(source, encoder);
  set_layout(source, s);
  if (source.gguf()) {
    MIAO_CHECK_OK(check_audio(source));
    MIAO_TRY(s.eps, source.number(kLayerNormEps, 1e-12, 0.1, s.eps));
    encoder.eps = s.eps;
    s.tied = source.find("output.weight") == nullptr;
  }
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
  if (!source.ct2()) return described_spec(source);
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

extern const Family whisper_family = {
    .name = "whisper",
    .shape = ModelSpec::Shape::encoder_decoder,
    .answers_to = {"WhisperForConditionalGeneration", "ct2:WhisperSpec", "gguf:whisper"},
    .spec = spec,
    .hf = {.tensors = kNames, .gguf = kGguf},
    .ct2 = {.root = "",
            .blocks = "layer_",
            .encoder = "encoder/",
            .decoder = "decoder/",
            .slashes = true,
            .tensors = kCt2Names},
    .gguf = {.architecture = "whisper", .sides = true, .speech = true, .keys = write_keys}};

}  // namespace miao::models
