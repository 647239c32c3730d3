// The spec that the kin of BERT share: keys, defaults and heads; see family.h.
#include <cmath>

#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

namespace {

constexpr int64_t kMaxLayers = 1000;
constexpr int64_t kMaxDim = 1 << 16;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int64_t kMaxPositions = 1 << 20;

constexpr Key kPositionKind{nullptr, "position_embedding_type"};

// A key that Hugging Face files may leave out.
Result<int64_t> integer(const Source& source, Key key, int64_t high, int64_t fallback) {
  return source.gguf() ? source.integer(key, 1, high) : source.integer(key, 1, high, fallback);
}

// Rows of a table of the file; 0 where it is missing, which is reported with the other tensors.
int64_t rows_of(const Source& source, const char* tensor) {
  const TensorView* t = source.find(tensor);
  return t ? t->rows() : 0;
}

Result<void> set_head(const Source& source, const EncoderDefaults& defaults, ModelSpec& s) {
  const std::string& name = source.architecture();
  HeadSpec& h = s.head;
  const char* output = nullptr;
  // GGUF files name no head: it is there or not. A classifier without the dense layer before it, which llama.cpp's
  // converter leaves out of BERT, cannot be computed; the rows can.
  const bool classifies = source.gguf() && source.find("cls.output.weight") && source.find("cls.weight");
  if (classifies || name.ends_with("ForSequenceClassification")) {
    h.task = HeadSpec::Task::sequence;
    h.dense = defaults.dense;
    h.act = defaults.dense_act;
    output = "cls.output.weight";
  } else if (name.ends_with("ForTokenClassification")) {
    h.task = HeadSpec::Task::tokens;
    output = "token_cls.output.weight";
  } else if (name.ends_with("ForQuestionAnswering")) {
    h.task = HeadSpec::Task::span;
    output = "span.output.weight";
  }
  if (!output) return {};
  h.outputs = rows_of(source, output);
  if (h.outputs == 0) {
    return Error{Code::not_found, "the tensor of the model's head is missing",
                 source.place(source.tensor_name(output))};
  }
  if (h.task == HeadSpec::Task::span && h.outputs != 2) {
    return Error{Code::invalid, "has " + std::to_string(h.outputs) + " outputs, expected 2: start and end",
                 source.place(source.tensor_name(output))};
  }
  if (source.has(kLabels)) {
    MIAO_TRY(h.labels, source.strings(kLabels));
    if (static_cast<int64_t>(h.labels.size()) == h.outputs) return {};
    return source.invalid(
        kLabels, "has " + std::to_string(h.labels.size()) + " labels for " + std::to_string(h.outputs) + " outputs");
  }
  for (int64_t i = 0; i < h.outputs; ++i) {
    const std::string key = "id2label." + std::to_string(i);
    MIAO_TRY(std::string label, source.string({nullptr, key.c_str()}, "LABEL_" + std::to_string(i)));
    h.labels.push_back(std::move(label));
  }
  return {};
}

}  // namespace

Result<ModelSpec> encoder_spec(const Source& source, const EncoderDefaults& defaults) {
  ModelSpec s;
  AttentionSpec& a = s.block.attn;
  FfnSpec& f = s.block.ffn;
  s.shape = ModelSpec::Shape::encoder;
  s.name = source.model_name();
  MIAO_TRY(s.layers, source.integer(kLayers, 1, kMaxLayers));
  MIAO_TRY(s.dim, source.integer(kDim, 1, kMaxDim));
  MIAO_TRY(f.dim, source.integer(kFfnDim, 1, kMaxDim));
  MIAO_TRY(a.heads, integer(source, kHeads, kMaxDim, defaults.heads));
  MIAO_TRY(s.vocab, source.gguf() ? source.integer(kVocab, 1, int64_t{1} << 24, rows_of(source, "token_embd.weight"))
                                  : source.integer(kVocab, 1, int64_t{1} << 24, defaults.vocab));
  MIAO_TRY(s.ctx, integer(source, kCtx, kMaxPositions, defaults.ctx));
  MIAO_TRY(s.eps, source.number(kLayerNormEps, 1e-20, 0.1, defaults.eps));
  if (s.dim % a.heads != 0) return source.invalid(kHeads, "does not divide " + source.name(kDim));
  a.kv_heads = a.heads;
  a.head_dim = s.dim / a.heads;
  if (a.head_dim > kMaxHeadDim) {
    return source.invalid(kHeads, "gives heads of more than " + std::to_string(kMaxHeadDim) + " values");
  }
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  a.qkv_bias = a.o_bias = f.bias = defaults.biases;
  f.gated = false;

  const Key act_key{"hidden_activation", defaults.act_key};
  MIAO_TRY(std::string act_name, source.string(act_key, defaults.act));
  const std::optional<kernels::Act> act = act_of(act_name);
  if (!act) return source.unsupported(act_key, "is '" + act_name + "', expected gelu, gelu_new, relu, silu or tanh");
  f.act = *act;
  MIAO_TRY(std::string kind, source.string(kPositionKind, "absolute"));
  if (kind != "absolute") return source.unsupported(kPositionKind, "is '" + kind + "', expected absolute");
  for (const Key key : {Key{nullptr, "is_decoder"}, Key{nullptr, "add_cross_attention"}}) {
    MIAO_TRY(bool on, source.boolean(key, false));
    if (on) return source.unsupported(key, "is set; this family is read as an encoder");
  }

  s.layer_norm = s.norm_bias = true;
  s.output_norm = false;
  s.block.pre_norms = false;
  s.block.after_norms = true;
  s.embedding_norm = true;
  s.sliding.assign(static_cast<size_t>(s.layers), false);
  if (defaults.learned_positions) {
    s.positions = s.ctx;
    if (defaults.positions_behind_padding && !source.gguf()) {  // GGUF files have left the first rows out
      MIAO_TRY(int64_t padding, source.integer({nullptr, "pad_token_id"}, 0, s.ctx - 2, 1));
      s.position_offset = padding + 1;
      s.ctx -= s.position_offset;
    }
  }
  if (source.gguf()) {
    s.token_types = rows_of(source, "token_types.weight");
  } else if (defaults.token_types > 0) {
    MIAO_TRY(s.token_types, source.integer(kTypes, 0, 1 << 16, defaults.token_types));
  }
  MIAO_CHECK_OK(set_head(source, defaults, s));
  return s;
}

}  // namespace miao::models
