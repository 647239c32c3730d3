// See classify.h.
#include "runtime/classify.h"

#include <algorithm>
#include <cmath>

#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/embed.h"

namespace miao::runtime {

Result<ClassScale> class_scale(const Encoder& encoder) {
  if (encoder.spec().head.task != models::HeadSpec::Task::sequence) {
    return Error{Code::unsupported, "the model has no head that classifies texts",
                 encoder.checkpoint().path().string()};
  }
  MIAO_TRY(const std::string_view problem, encoder.checkpoint().meta().string("problem_type", ""));
  if (problem == "regression") return ClassScale::none;
  if (problem == "multi_label_classification" || encoder.spec().head.outputs == 1) return ClassScale::logistic;
  return ClassScale::softmax;
}

void apply_scale(ClassScale scale, std::span<float> row) {
  if (scale == ClassScale::logistic) {
    for (float& x : row) x = 1 / (1 + std::exp(-x));
  } else if (scale == ClassScale::softmax) {
    const float top = *std::max_element(row.begin(), row.end());
    float sum = 0;
    for (float& x : row) sum += x = std::exp(x - top);
    for (float& x : row) x /= sum;
  }
}

Result<std::vector<float>> classify(Encoder& encoder, std::span<const std::string> texts,
                                    const ClassifyOptions& options) {
  MIAO_TRY(const ClassScale scale, class_scale(encoder));
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder.tokenizer());
  std::vector<std::vector<int32_t>> ids;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto encoded = encode_text(*tokenizer, texts[i], encoder.ctx(), options.truncate);
    if (!encoded.ok()) return std::move(encoded.error()).at("text " + std::to_string(i + 1));
    ids.push_back(std::move(*encoded));
  }
  std::vector<EncoderInput> inputs;
  for (const auto& each : ids) inputs.push_back({each, {}});
  MIAO_TRY(const Encoded rows, encoder.run(inputs, options.cancel));
  std::vector<float> out;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = rows.row(i);
    out.insert(out.end(), row.begin(), row.end());
    if (!options.raw) apply_scale(scale, std::span(out).last(row.size()));
  }
  return out;
}

}  // namespace miao::runtime
