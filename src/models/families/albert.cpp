// ALBERT: BERT with one block of weights for all layers and narrow embeddings.
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
    {"project_in", "encoder.embedding_hidden_mapping_in"},
    {"attn_q", "albert_layers.0.attention.query"},
    {"attn_k", "albert_layers.0.attention.key"},
    {"attn_v", "albert_layers.0.attention.value"},
    {"attn_output", "albert_layers.0.attention.dense"},
    {"attn_output_norm", "albert_layers.0.attention.LayerNorm"},
    {"ffn_up", "albert_layers.0.ffn"},
    {"ffn_down", "albert_layers.0.ffn_output"},
    {"layer_output_norm", "albert_layers.0.full_layer_layer_norm"},
    {"cls", "pooler"},
    {"cls.output", "/classifier"},
    {"token_cls.output", "/classifier"},
    {"span.output", "/qa_outputs"},
};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_spec(source, {.vocab = 30000, .heads = 64, .act = "gelu_new"}));
  MIAO_TRY(s.embedding_dim, source.integer({nullptr, "embedding_size"}, 1, 1 << 16, 128));
  for (const Key key : {Key{nullptr, "num_hidden_groups"}, Key{nullptr, "inner_group_num"}}) {
    MIAO_TRY(int64_t groups, source.integer(key, 1, 1000, 1));
    if (groups != 1) return source.unsupported(key, "is not 1: layers with weights of their own");
  }
  s.shared_blocks = true;
  return s;
}

extern const Family albert_family = {
    .name = "albert",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"AlbertModel", "AlbertForMaskedLM", "AlbertForPreTraining", "AlbertForSequenceClassification",
                   "AlbertForTokenClassification", "AlbertForQuestionAnswering"},
    .spec = spec,
    .hf = {.root = "albert.", .blocks = "encoder.albert_layer_groups.", .tensors = kNames}};

}  // namespace miao::models
