// See quality_report.h: words and JSON.
#include "measure/quality_report.h"

#include <fmt/format.h>

#include <cmath>

#include "base/json.h"
#include "measure/report.h"

namespace miao::measure {

namespace {

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json json(const Subject& s) {
  Json out = {{"model", s.model},
              {"family", s.family},
              {"sha256", s.sha256.empty() ? Json() : Json(s.sha256)},
              {"isa", s.isa},
              {"dtype", s.dtype},
              {"kv", s.kv.empty() ? Json() : Json(s.kv)},
              {"weight_bytes", s.weights}};
  for (const runtime::KernelReport& k : s.kernels) {
    out["kernels"].push_back(
        {{"weights", k.weights}, {"format", k.format}, {"gemv", k.gemv}, {"gemm", k.gemm}, {"bytes", k.bytes}});
  }
  return out;
}

Json json(const Quality& quality, const Verdict& v) {
  return {{"budget", v.budget.text()},
          {"metric", v.budget.metric},
          {"margin", v.budget.margin},
          {"loss", finite(v.loss.value)},
          {"upper", v.loss.upper ? finite(*v.loss.upper) : Json()},
          {"level", quality.level},
          {"outcome", name(v.outcome)},
          {"more_units", v.outcome == Outcome::not_shown ? Json(v.more) : Json()},
          {"sentence", sentence(quality, v)}};
}

}  // namespace

std::string sentence(const Quality& quality, const Verdict& v) {
  const auto number = [&](double x) {
    return shown({.form = v.budget.percent ? Metric::Form::percent : Metric::Form::number}, x);
  };
  std::string out = fmt::format("{} (budget {}): ", name(v.outcome), v.budget.text());
  out += fmt::format("the {} is {}", describe_metric(v.budget.metric), number(v.loss.value));
  if (v.loss.lone) return out + ", as it was printed; no bound";
  if (v.loss.upper) out += fmt::format(", below {} at {:g} %", number(*v.loss.upper), 100 * quality.level);
  if (v.outcome != Outcome::not_shown) return out;
  const std::string more =
      fmt::format("{} more {}{}", v.more, v.loss.unit.empty() ? quality.unit : v.loss.unit, v.more == 1 ? "" : "s");
  return out + (v.loss.upper ? "; about " + more + " would show it" : "; a bound takes " + more);
}

Json to_json(const QualityReport& report) {
  const Quality& q = report.quality;
  Json out;
  out["schema"] = kQualitySchema;
  out["miao"] = report.version;
  out["date"] = report.date;
  out["command"] = report.command;
  out["task"] = q.task;
  out["model"] = report.model.model;
  out["against"] = report.base ? Json(report.base->model) : Json();
  out["units"] = q.units;
  out["unit"] = q.unit;
  out["items"] = q.items;
  out["item"] = q.item;
  out["level"] = q.level;
  Json intervals = Json::object();
  for (const Metric& m : q.metrics) {
    out[m.key] = finite(m.value);
    if (m.ci) intervals[m.key] = {finite(m.ci->low), finite(m.ci->high)};
  }
  out["intervals"] = std::move(intervals);
  Json verdicts = Json::array();
  for (const Verdict& v : q.verdicts) verdicts.push_back(json(q, v));
  out["verdict"] = q.verdicts.empty() ? Json() : Json(name(q.outcome()));
  out["budgets"] = std::move(verdicts);
  out["notes"] = q.notes;
  out["data"] = {{"file", report.data.name}, {"sha256", report.data.sha256}, {"bytes", report.data.bytes}};
  out["subject"] = json(report.model);
  out["base"] = report.base ? json(*report.base) : Json();
  out["machine"] = to_json(report.machine);
  out["seconds"] = report.seconds;
  return out;
}

}  // namespace miao::measure
