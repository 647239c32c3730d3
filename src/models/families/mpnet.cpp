// MPNet: BERT without segments, with a bias on scores by the distance of key and query that all layers share.
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
    {"distance_bias", "encoder.relative_attention_bias"},
    {"attn_q", "attention.attn.q"},
    {"attn_k", "attention.attn.k"},
    {"attn_v", "attention.attn.v"},
    {"attn_output", "attention.attn.o"},
    {"attn_output_norm", "attention.LayerNorm"},
    {"ffn_up", "intermediate.dense"},
    {"ffn_down", "output.dense"},
    {"layer_output_norm", "output.LayerNorm"},
    {"cls", "/classifier.dense"},
    {"cls.output", "/classifier.out_proj"},
    {"token_cls.output", "/classifier"},
    {"span.output", "/qa_outputs"},
};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_spec(source, {.vocab = 30527, .token_types = 0, .positions_behind_padding = true}));
  MIAO_TRY(s.distance_buckets, source.integer({nullptr, "relative_attention_num_buckets"}, 4, 4096, 32));
  return s;
}

extern const Family mpnet_family = {.name = "mpnet",
                                    .shape = ModelSpec::Shape::encoder,
                                    .answers_to = {"MPNetModel", "MPNetForMaskedLM", "MPNetForSequenceClassification",
                                                   "MPNetForTokenClassification", "MPNetForQuestionAnswering"},
                                    .spec = spec,
                                    .hf = {.root = "mpnet.", .blocks = "encoder.layer.", .tensors = kNames}};

}  // namespace miao::models
