// BERT and its kin with the same tensors: RoBERTa, XLM-RoBERTa and CamemBERT, whose positions begin behind the padding
// id, and ELECTRA, whose embeddings have a width of their own. The roots and the heads of sequences have other names.
// GGUF files call all of them and DistilBERT "bert".
#include "models/family.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embeddings.word_embeddings"},
    {"position_embd", "embeddings.position_embeddings"},
    {"token_types", "embeddings.token_type_embeddings"},
    {"token_embd_norm", "embeddings.LayerNorm"},
    {"project_in", "embeddings_project"},
    {"attn_q", "attention.self.query"},
    {"attn_k", "attention.self.key"},
    {"attn_v", "attention.self.value"},
    {"attn_output", "attention.output.dense"},
    {"attn_output_norm", "attention.output.LayerNorm"},
    {"ffn_up", "intermediate.dense"},
    {"ffn_down", "output.dense"},
    {"layer_output_norm", "output.LayerNorm"},
    {"token_cls.output", "/classifier"},
    {"span.output", "/qa_outputs"},
};
static constexpr TensorName kBertHead[] = {{"cls", "pooler.dense"}, {"cls.output", "/classifier"}};
static constexpr TensorName kRobertaHead[] = {{"cls", "/classifier.dense"}, {"cls.output", "/classifier.out_proj"}};
static constexpr std::string_view kBlocks = "encoder.layer.";

static Result<ModelSpec> bert_spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_spec(source));
  // The one without segments is DistilBERT, whose head has another activation.
  if (source.gguf() && s.token_types == 0) s.head.act = kernels::Act::relu;
  return s;
}

static Result<ModelSpec> roberta_spec(const Source& source) {
  return encoder_spec(source, {.vocab = 50265, .positions_behind_padding = true});
}

static Result<ModelSpec> electra_spec(const Source& source) {
  MIAO_TRY(ModelSpec s, encoder_spec(source, {.dense_act = kernels::Act::gelu}));
  MIAO_TRY(s.embedding_dim, source.integer({nullptr, "embedding_size"}, 1, 1 << 16, 128));
  if (s.embedding_dim == s.dim) s.embedding_dim = 0;
  return s;
}

extern const Family bert_family = {
    .name = "bert",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"BertModel", "BertForMaskedLM", "BertForPreTraining", "BertForSequenceClassification",
                   "BertForTokenClassification", "BertForQuestionAnswering", "gguf:bert"},
    .spec = bert_spec,
    .hf = {.root = "bert.", .blocks = kBlocks, .tensors = kBertHead, .shared = kNames},
    .gguf = {.architecture = "bert"}};
extern const Family roberta_family = {
    .name = "roberta",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"RobertaModel", "RobertaForMaskedLM", "RobertaForSequenceClassification",
                   "RobertaForTokenClassification", "RobertaForQuestionAnswering"},
    .spec = roberta_spec,
    .hf = {.root = "roberta.", .blocks = kBlocks, .tensors = kRobertaHead, .shared = kNames},
    .gguf = {.architecture = "bert"}};
extern const Family xlm_roberta_family = {
    .name = "xlm_roberta",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"XLMRobertaModel", "XLMRobertaForMaskedLM", "XLMRobertaForSequenceClassification",
                   "XLMRobertaForTokenClassification", "XLMRobertaForQuestionAnswering"},
    .spec = roberta_spec,
    .hf = {.root = "roberta.", .blocks = kBlocks, .tensors = kRobertaHead, .shared = kNames},
    .gguf = {.architecture = "bert"}};
extern const Family camembert_family = {
    .name = "camembert",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"CamembertModel", "CamembertForMaskedLM", "CamembertForSequenceClassification",
                   "CamembertForTokenClassification", "CamembertForQuestionAnswering"},
    .spec = roberta_spec,
    .hf = {.root = "roberta.", .blocks = kBlocks, .tensors = kRobertaHead, .shared = kNames},
    .gguf = {.architecture = "bert"}};
extern const Family electra_family = {
    .name = "electra",
    .shape = ModelSpec::Shape::encoder,
    .answers_to = {"ElectraModel", "ElectraForPreTraining", "ElectraForSequenceClassification",
                   "ElectraForTokenClassification", "ElectraForQuestionAnswering"},
    .spec = electra_spec,
    .hf = {.root = "electra.", .blocks = kBlocks, .tensors = kRobertaHead, .shared = kNames}};

}  // namespace miao::models
