// DistilBERT: BERT without segments and pooler.
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
    {"attn_q", "attention.q_lin"},
    {"attn_k", "attention.k_lin"},
    {"attn_v", "attention.v_lin"},
    {"attn_output", "attention.out_lin"},
    {"attn_output_norm", "sa_layer_norm"},
    {"ffn_up", "ffn.lin1"},
    {"ffn_down", "ffn.lin2"},
    {"layer_output_norm", "output_layer_norm"},
    {"cls", "/pre_classifier"},
    {"cls.output", "/classifier"},
    {"token_cls.output", "/classifier"},
    {"span.output", "/qa_outputs"},
};
static constexpr KeyName kKeys[] = {{"hidden_size", "dim"},
                                    {"num_attention_heads", "n_heads"},
                                    {"num_hidden_layers", "n_layers"},
                                    {"intermediate_size", "hidden_dim"}};

static Result<ModelSpec> spec(const Source& source) {
  return encoder_spec(source, {.act_key = "activation", .token_types = 0, .dense_act = kernels::Act::relu});
}

extern const Family distilbert_family = {
    .name = "distilbert",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"DistilBertModel", "DistilBertForMaskedLM", "DistilBertForSequenceClassification",
                   "DistilBertForTokenClassification", "DistilBertForQuestionAnswering"},
    .spec = spec,
    .hf = {.root = "distilbert.", .blocks = "transformer.layer.", .tensors = kNames, .keys = kKeys},
    .gguf = {.architecture = "bert"}};

}  // namespace miao::models
