#include "compress/search/task.h"

#include <algorithm>

#include "runtime/engine.h"

namespace miao::compress {

namespace {

// Losses that a kind of model is judged by.
Result<void> check_budgets(const CompressOptions& o, const std::vector<std::string>& known, const char* kind) {
  std::string names;
  for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
  for (const measure::Budget& b : o.budgets.losses) {
    if (b.metric.empty() || std::ranges::find(known, b.metric) != known.end()) continue;
    return Error{Code::invalid, "is not measured of " + std::string(kind) + ", but " + names, "budget " + b.text()};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Task>> Task::of(const std::filesystem::path& model, const CompressOptions& options) {
  using Shape = models::ModelSpec::Shape;
  MIAO_TRY(const Shape shape, runtime::model_shape(model));
  const bool scored = !options.pairs.empty(), labelled = !options.labels.empty();
  if (shape == Shape::decoder) {
    MIAO_CHECK_OK(check_budgets(options, {"ppl", "kld", "top1", "accuracy", "accuracy_norm", "evaluate"}, "a decoder"));
    if (scored || labelled)
      return Error{Code::invalid, "is a decoder; pairs and labels are for encoders", model.string()};
    return decoder_task(options);
  }
  if (shape == Shape::encoder_decoder) {
    return Error{Code::unsupported, "the search is for decoders and encoders; miao quantize rounds other models",
                 model.string()};
  }
  if (!options.questions.empty())
    return Error{Code::invalid, "is an encoder, which chooses no answers; --choices is for decoders", model.string()};
  if (!options.kv.empty())
    return Error{Code::invalid, "is an encoder, which keeps no keys and values (kv)", model.string()};
  if (scored && labelled) return Error{Code::invalid, "a model has vectors or classes: give pairs or labels", {}};
  const Budgets& b = options.budgets;
  if (b.step || b.first) {
    return Error{Code::invalid, "is an encoder, which writes no tokens; --max-latency is about a whole request",
                 model.string()};
  }
  std::vector<std::string> known = {"cosine", "overlap"};
  if (scored) known.insert(known.begin(), "spearman");
  if (labelled) known = {"accuracy", "flips", "kld"};
  known.emplace_back("evaluate");
  MIAO_CHECK_OK(check_budgets(options, known,
                              scored || labelled ? "an encoder"
                                                 : "an encoder without --pairs (spearman) or --labels (accuracy, "
                                                   "flips, kld)"));
  return encoder_task(options);
}

}  // namespace miao::compress
