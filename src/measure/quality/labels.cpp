// See quality.h: classes of texts by encoders.
#include <algorithm>
#include <charconv>
#include <string>

#include "io/checkpoint.h"
#include "measure/divergence.h"
#include "measure/quality.h"
#include "models/spec.h"
#include "runtime/classify.h"
#include "runtime/encoder.h"

namespace miao::measure {

namespace {

using runtime::ClassScale;
using runtime::Encoder;

constexpr size_t kBlock = 256;  // texts between two looks at the clock

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// Names first, then places: a model whose labels are numbers means those.
Result<int32_t> class_of(const Encoder& encoder, int64_t classes, const std::string& label) {
  const std::vector<std::string>& names = encoder.spec().head.labels;
  for (size_t i = 0; i < names.size(); ++i) {
    if (lower(names[i]) == lower(label)) return static_cast<int32_t>(i);
  }
  int32_t place = -1;
  const auto read = std::from_chars(label.data(), label.data() + label.size(), place);
  if (read.ec == std::errc() && read.ptr == label.data() + label.size() && place >= 0 && place < classes) return place;
  std::string known;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 10); ++i) known += (i ? ", " : "") + names[i];
  return Error{Code::invalid,
               "the model has no class '" + label + "', but " +
                   (known.empty() ? "0 to " + std::to_string(classes - 1) : known + (names.size() > 10 ? ", ..." : "")),
               {}};
}

Result<std::vector<int32_t>> truths(const Encoder& encoder, int64_t classes, std::span<const LabelledText> texts) {
  std::vector<int32_t> out;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto place = class_of(encoder, classes, texts[i].label);
    if (!place.ok()) return std::move(place.error()).at("text " + std::to_string(i + 1));
    out.push_back(*place);
  }
  return out;
}

// A head of one output tells yes from no.
Result<int64_t> classes_of(const Encoder& encoder) {
  MIAO_TRY(const ClassScale scale, runtime::class_scale(encoder));
  if (scale == ClassScale::none)
    return Error{Code::unsupported, "gives values, not classes", encoder.checkpoint().path().string()};
  return std::max<int64_t>(2, encoder.spec().head.outputs);
}

// What comes out of the head, (texts, outputs).
Result<std::vector<float>> outputs_of(Encoder& encoder, std::span<const LabelledText> texts, const QualityRun& run,
                                      int64_t before, int64_t total) {
  std::vector<float> out;
  for (size_t first = 0; first < texts.size(); first += kBlock) {
    std::vector<std::string> block;
    for (size_t i = first; i < std::min(first + kBlock, texts.size()); ++i) block.push_back(texts[i].text);
    MIAO_TRY(const std::vector<float> rows,
             runtime::classify(encoder, block, {.truncate = true, .raw = true, .cancel = run.stop}));
    out.insert(out.end(), rows.begin(), rows.end());
    if (run.progress) run.progress(before + static_cast<int64_t>(first + block.size()), total);
  }
  return out;
}

std::vector<int32_t> picks(std::span<const float> outputs, size_t texts) {
  std::vector<int32_t> out;
  const size_t cols = outputs.size() / texts;
  for (size_t i = 0; i < texts; ++i) {
    const auto row = outputs.subspan(i * cols, cols);
    out.push_back(cols == 1 ? row[0] > 0 : static_cast<int32_t>(std::ranges::max_element(row) - row.begin()));
  }
  return out;
}

}  // namespace

Result<AnswerRecords> measure_labels(Encoder& model, Encoder* base, std::span<const LabelledText> texts,
                                     const QualityRun& run) {
  if (texts.empty()) return Error{Code::invalid, "there are no texts", {}};
  AnswerRecords out{.task = "labels", .item = "text"};
  out.paired = base != nullptr;
  MIAO_TRY(const int64_t classes, classes_of(model));
  MIAO_TRY(out.truth, truths(model, classes, texts));
  if (base) {
    MIAO_TRY(const int64_t others, classes_of(*base));
    MIAO_TRY(const std::vector<int32_t> same, truths(*base, others, texts));
    if (others != classes || same != out.truth) {
      return Error{Code::invalid, "has other classes than the model", base->checkpoint().path().string()};
    }
  }
  const auto count = static_cast<int64_t>(texts.size());
  AnswerRecords::Picks each{"accuracy", "accuracy", {}, {}};
  MIAO_TRY(const auto own, outputs_of(model, texts, run, 0, base ? 2 * count : count));
  each.own = picks(own, texts.size());
  if (base) {
    MIAO_TRY(const auto other, outputs_of(*base, texts, run, count, 2 * count));
    each.base = picks(other, texts.size());
    MIAO_TRY(const ClassScale scale, runtime::class_scale(*base));
    const auto kl = scale == ClassScale::softmax ? kl_of_one_class : kl_of_each_class;
    const size_t cols = own.size() / texts.size();
    for (size_t i = 0; other.size() == own.size() && i < own.size(); i += cols)
      out.kl.push_back(static_cast<float>(kl(std::span(other).subspan(i, cols), std::span(own).subspan(i, cols))));
  }
  out.picks.push_back(std::move(each));
  return out;
}

}  // namespace miao::measure
