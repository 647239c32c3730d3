// Losses that are not of a text: right answers to questions, and the user's own figure.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "base/sha256.h"
#include "compress/search/search.h"
#include "runtime/engine.h"

namespace miao::compress {

namespace {

constexpr const char* kBase = "base";

Json to_json(const measure::AnswerRecords& r) {
  Json picks = Json::array();
  for (const auto& p : r.picks)
    picks.push_back({{"metric", p.metric}, {"label", p.label}, {"own", p.own}, {"base", p.base}});
  return {{"picks", std::move(picks)}, {"notes", r.notes}};
}

measure::AnswerRecords answers_of(const Json& json, const std::vector<measure::Question>& questions) {
  measure::AnswerRecords out{.task = "choices", .item = "question", .paired = true};
  for (const measure::Question& q : questions) out.truth.push_back(q.answer);
  for (const Json& p : json.at("picks")) {
    out.picks.push_back({p.at("metric").get<std::string>(), p.at("label").get<std::string>(),
                         p.at("own").get<std::vector<int32_t>>(), p.at("base").get<std::vector<int32_t>>()});
  }
  out.notes = json.at("notes").get<std::vector<std::string>>();
  return out;
}

std::string hash_of(const std::vector<measure::Question>& questions) {
  Json all = Json::array();
  for (const measure::Question& q : questions) all.push_back({q.prompt, q.choices, q.answer});
  return sha256_hex(all.dump());
}

// What a text's quality has of its own keeps its name.
void add(const measure::Quality& answers, measure::Quality& quality) {
  for (measure::Metric m : answers.metrics) {
    if (quality.find(m.key)) {
      m.key = "answer_" + m.key;
      m.label += " (questions)";
    }
    quality.metrics.push_back(std::move(m));
  }
  for (measure::Loss loss : answers.losses) {
    loss.unit = answers.unit;
    if (std::ranges::find(quality.losses, loss.metric, &measure::Loss::metric) == quality.losses.end())
      quality.losses.push_back(std::move(loss));
  }
}

}  // namespace

std::vector<measure::Question> Search::questions_of(Set set) const {
  std::vector<measure::Question> out;
  for (size_t i = 0; i < o_.questions.size(); ++i) {
    const bool verify = i % 5 == 1 || i % 5 == 3;
    if (verify == (set == kVerify)) out.push_back(o_.questions[i]);
  }
  return out;
}

// Before the long part: whether budgets have what they are about, and what the user's own figure is of the base.
Result<void> Search::check_figures() {
  report_.questions_name = o_.questions_name;
  report_.verify_questions = static_cast<int64_t>(questions_of(kVerify).size());
  report_.final_questions = static_cast<int64_t>(questions_of(kFinal).size());
  if (!o_.questions.empty() && report_.verify_questions == 0)
    return Error{Code::invalid, "holds one question; the search and its last measurement need their own",
                 o_.questions_name};
  for (const measure::Budget& b : o_.budgets.losses) {
    auto known = check_metric(b.metric, !o_.questions.empty() || !o_.labels.empty(), bool(o_.evaluate));
    if (!known.ok()) return std::move(known.error()).at("budget " + b.text());
  }
  if (!o_.evaluate) return {};
  report_.evaluate_name = o_.evaluate_name;
  MIAO_TRY(const double base, figure_of(std::filesystem::absolute(model_), kBase, "the model as it is"));
  say(fmt::format("evaluated: {:g} of the model as it is", base));
  const auto in_percent = [](const measure::Budget& b) { return b.metric == "evaluate" && b.percent; };
  if (base == 0 && std::ranges::any_of(o_.budgets.losses, in_percent))
    return Error{Code::invalid,
                 "the figure of the model as it is is 0, of which nothing is a share; write the budget "
                 "without %, as evaluate:0.02",
                 "evaluate"};
  return {};
}

Result<double> Search::figure_of(const std::filesystem::path& file, const std::string& key, const std::string& name) {
  if (const auto known = figures_.find(key); known != figures_.end()) return known->second;
  progress(name + ": evaluating", 0, 1);
  const auto evaluate = [&]() -> Result<Json> {
    const auto figure = o_.evaluate(file);
    if (!figure.ok()) {
      Error error = figure.error();
      if (error.code != Code::cancelled && key != kBase)
        error.message += "; what was built stays in " + work_folder().string() + " for the next run";
      return error;
    }
    if (!std::isfinite(*figure)) return Error{Code::invalid, "the figure is no finite number", name};
    return Json(*figure);
  };
  Json json;
  if (!o_.evaluate_kept) {
    MIAO_TRY(json, evaluate());
  } else {
    MIAO_TRY(json, kept({{"what", "evaluate"}, {"by", o_.evaluate_name}, {"candidate", key}}, evaluate));
  }
  progress(name + ": evaluating", 1, 1);
  return figures_[key] = json.get<double>();
}

Result<void> Search::add_figures(const Candidate& candidate, Set set, measure::Quality& quality) {
  if (!o_.questions.empty()) {
    const std::vector<measure::Question> questions = questions_of(set);
    const Json key{{"what", "choices"}, {"candidate", candidate.key}, {"questions", hash_of(questions)}};
    MIAO_TRY(const Json json, kept(key, [&]() -> Result<Json> {
               MIAO_TRY(const auto file, build(candidate));
               MIAO_TRY(const auto model, task_->open(file));
               const measure::QualityRun run{.stop = o_.cancel, .progress = [&](int64_t n, int64_t total) {
                                               progress(candidate.name + ": questions", n, total);
                                             }};
               auto records = measure::measure_choices(static_cast<runtime::Engine&>(*model),
                                                       static_cast<runtime::Engine*>(&judging()), questions, run);
               if (!records.ok()) return std::move(records.error()).at(o_.questions_name);
               return to_json(*records);
             }));
    add(measure::summarise(answers_of(json, questions), o_.level), quality);
  }
  if (!o_.evaluate) return {};
  MIAO_TRY(const auto file, build(candidate));
  MIAO_TRY(const double own, figure_of(std::filesystem::absolute(file), candidate.key, candidate.name));
  const double base = figures_.at(kBase), loss = o_.evaluate_lower ? own - base : base - own;
  quality.metrics.push_back({"evaluate", "your own figure", own, {}, measure::Metric::Form::number});
  quality.metrics.push_back({"base_evaluate", "your own figure of the base", base, {}, measure::Metric::Form::number});
  quality.losses.push_back({.metric = "evaluate", .value = loss, .units = 1, .lone = true, .whole = base});
  quality.notes.emplace_back("your own figure is as it was printed, and has no bound; candidates were chosen on it");
  return {};
}

}  // namespace miao::compress
