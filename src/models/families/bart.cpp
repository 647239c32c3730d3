// BART and its kin: mBART, Marian, M2M-100 (NLLB too) and Pegasus. They differ in where norms stand and in their
// positions.
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "shared"},
    {"enc.token_embd", "embed_tokens"},
    {"dec.token_embd", "embed_tokens"},
    {"position_embd", "embed_positions"},
    {"token_embd_norm", "layernorm_embedding"},
    {"output_norm", "layer_norm"},
    {"attn_norm", "self_attn_layer_norm"},
    {"attn_output", "self_attn.out_proj"},
    {"attn_output_norm", "self_attn_layer_norm"},
    {"cross_attn_norm", "encoder_attn_layer_norm"},
    {"cross_attn_q", "encoder_attn.q_proj"},
    {"cross_attn_k", "encoder_attn.k_proj"},
    {"cross_attn_v", "encoder_attn.v_proj"},
    {"cross_attn_output", "encoder_attn.out_proj"},
    {"cross_attn_output_norm", "encoder_attn_layer_norm"},
    {"ffn_norm", "final_layer_norm"},
    {"ffn_up", "fc1"},
    {"ffn_down", "fc2"},
    {"layer_output_norm", "final_layer_norm"},
};
static constexpr Naming kNaming{.tensors = kNames};

using Sinusoids = ModelSpec::Sinusoids;

static Result<ModelSpec> bart_spec(const Source& source) {
  return encoder_decoder_spec(source, {.pre_norms = false, .embedding_norm = true, .position_offset = 2});
}

static Result<ModelSpec> mbart_spec(const Source& source) {
  return encoder_decoder_spec(source, {.embedding_norm = true, .position_offset = 2});
}

static Result<ModelSpec> marian_spec(const Source& source) {
  MIAO_TRY(ModelSpec s,
           encoder_decoder_spec(source, {.pre_norms = false, .sinusoids = Sinusoids::by_half, .vocab = 58101}));
  MIAO_TRY(s.vocab, source.integer({nullptr, "decoder_vocab_size"}, 1, int64_t{1} << 24, s.vocab));
  return s;
}

static Result<ModelSpec> m2m_100_spec(const Source& source) {
  constexpr Key kPadding{nullptr, "pad_token_id"};
  MIAO_TRY(const int64_t padding, source.integer(kPadding, 0, 1 << 20, 1));
  return encoder_decoder_spec(source, {.sinusoids = Sinusoids::by_half_less_one,
                                       .position_offset = padding + 1,
                                       .vocab = 128112,
                                       .act = "relu",
                                       .scaled_embedding = true});
}

static Result<ModelSpec> pegasus_spec(const Source& source) {
  return encoder_decoder_spec(source, {.sinusoids = Sinusoids::by_half});
}

extern const Family bart_family = {.name = "bart",
                                   .shape = ModelSpec::Shape::encoder_decoder,
                                   .answers_to = {"BartForConditionalGeneration"},
                                   .spec = bart_spec,
                                   .hf = kNaming};
extern const Family mbart_family = {.name = "mbart",
                                    .shape = ModelSpec::Shape::encoder_decoder,
                                    .answers_to = {"MBartForConditionalGeneration"},
                                    .spec = mbart_spec,
                                    .hf = kNaming};
extern const Family marian_family = {.name = "marian",
                                     .shape = ModelSpec::Shape::encoder_decoder,
                                     .answers_to = {"MarianMTModel"},
                                     .spec = marian_spec,
                                     .hf = kNaming};
extern const Family m2m_100_family = {.name = "m2m_100",
                                      .shape = ModelSpec::Shape::encoder_decoder,
                                      .answers_to = {"M2M100ForConditionalGeneration"},
                                      .spec = m2m_100_spec,
                                      .hf = kNaming};
extern const Family pegasus_family = {.name = "pegasus",
                                      .shape = ModelSpec::Shape::encoder_decoder,
                                      .answers_to = {"PegasusForConditionalGeneration"},
                                      .spec = pegasus_spec,
                                      .hf = kNaming};

}  // namespace miao::models
