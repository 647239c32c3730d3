// See classify.h.
#include "runtime/classify.h"

#include <algorithm>
#include <cmath>

#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/embed.h"

namespace miao::runtime {

namespace {

enum class Scale : uint8_t { softmax, logistic, none };

Result<Scale> scale_of(const Encoder& encoder) {
  const KeyValues& meta = encoder.checkpoint().meta();
  MIAO_TRY(const std::string_view problem, meta.string("problem_type", ""));
  if (problem == "regression") return Scale::none;
  if (problem == "multi_label_classification" || encoder.spec().head.outputs == 1) return Scale::logistic;
  return Scale::softmax;
}

void apply(Scale scale, std::span<float> row) {
  if (scale == Scale::logistic) {
    for (float& x : row) x = 1 / (1 + std::exp(-x));
  } else if (scale == Scale::softmax) {
    const float top = *std::max_element(row.begin(), row.end());
    float sum = 0;
    for (float& x : row) sum += x = std::exp(x - top);
    for (float& x : row) x /= sum;
  }
}

}  // namespace

Result<std::vector<float>> classify(Encoder& encoder, std::span<const std::string> texts,
                                    const ClassifyOptions& options) {
  if (encoder.spec().head.task != models::HeadSpec::Task::sequence) {
    return Error{Code::unsupported, "the model has no head that classifies texts",
                 encoder.checkpoint().path().string()};
  }
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder.tokenizer());
  MIAO_TRY(const Scale scale, scale_of(encoder));
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
    if (!options.raw) apply(scale, std::span(out).last(row.size()));
  }
  return out;
}

}  // namespace miao::runtime
