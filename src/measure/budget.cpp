#include "measure/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "measure/distributions.h"

namespace miao::measure {

namespace {

struct LossMetric {
  const char* name;
  const char* what;
  bool share;             // written in per cent, or as a fraction below 1
  bool relative = false;  // written in per cent of the base's figure, or in the unit of that
};
constexpr LossMetric kMetrics[] = {
    {"ppl", "rise of perplexity", true},
    {"kld", "mean KL divergence from the base", false},
    {"top1", "share of tokens whose likeliest choice changes", true},
    {"accuracy", "loss of accuracy", true},
    {"accuracy_norm", "loss of accuracy by letter", true},
    {"flips", "share of answers that change", true},
    {"cosine", "mean distance (1 - cosine) from the base's vectors", true},
    {"overlap", "share of nearest texts that change", true},
    {"spearman", "loss of rank correlation", true},
    {"wer", "rise of the word error rate", true},
    {"evaluate", "loss by your own figure", false, true},
};

const LossMetric* find(std::string_view name) {
  const auto* const at = std::ranges::find_if(kMetrics, [&](const LossMetric& m) { return m.name == name; });
  return at == std::end(kMetrics) ? nullptr : at;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Error wrong(std::string_view text, const std::string& why) {
  return {Code::invalid, fmt::format("'{}' is no budget: {}", text, why), {}};
}

}  // namespace

std::string loss_metrics() {
  std::string out;
  for (const LossMetric& m : kMetrics) {
    if (m.relative) continue;  // of compress alone
    if (!out.empty()) out += ", ";
    out += fmt::format("{} ({})", m.name, m.what);
  }
  return out;
}

std::string_view describe_metric(std::string_view metric) {
  const LossMetric* const found = find(metric);
  MIAO_CHECK(found != nullptr);
  return found->what;
}

std::string Budget::text() const {
  const std::string value = percent ? fmt::format("{:g}%", 100 * margin) : fmt::format("{:g}", margin);
  return metric.empty() ? value : metric + ":" + value;
}

Result<Budget> parse_budget(std::string_view text) {
  Budget out;
  std::string_view value = trimmed(text);
  if (const size_t at = value.find_first_of(":<="); at != std::string_view::npos) {
    out.metric = trimmed(value.substr(0, at));
    const size_t sign = value.substr(at, 2) == "<=" ? 2 : 1;
    value = trimmed(value.substr(at + sign));
    if (find(out.metric) == nullptr) {
      std::string names;
      for (const LossMetric& m : kMetrics) names += (names.empty() ? "" : ", ") + std::string(m.name);
      return wrong(text, "there is no metric '" + out.metric + "', but " + names);
    }
  }
  if (value.ends_with('%')) {
    out.percent = true;
    value = trimmed(value.substr(0, value.size() - 1));
  }
  const auto read = std::from_chars(value.data(), value.data() + value.size(), out.margin);
  if (read.ec != std::errc() || read.ptr != value.data() + value.size() || !std::isfinite(out.margin))
    return wrong(text, "write METRIC:VALUE, as ppl:2% or kld:0.02");
  if (out.margin <= 0) return wrong(text, "no data can show that a loss is below a margin that is not above 0");
  if (out.percent) out.margin /= 100;
  const LossMetric* const metric = find(out.metric);
  if (out.percent && metric && !metric->share && !metric->relative)
    return wrong(text, out.metric + " is no share; leave the % out");
  if (!out.percent && (!metric || metric->share) && out.margin >= 1)
    return wrong(text, "a share is below 1, or has a %");
  return out;
}

const char* name(Outcome outcome) {
  switch (outcome) {
    case Outcome::passes:
      return "passes";
    case Outcome::not_shown:
      return "not shown";
    case Outcome::fails:
      break;
  }
  return "fails";
}

Verdict judge(const Budget& budget, const Loss& measured, double level) {
  MIAO_CHECK(level > 0.5 && level < 1);
  Verdict out{budget, measured, Outcome::fails, 0};
  Loss& loss = out.loss;
  if (loss.whole && budget.percent) {
    loss.value /= std::fabs(*loss.whole);
    if (loss.upper) *loss.upper /= std::fabs(*loss.whole);
  }
  if (!(loss.value < budget.margin)) return out;  // a NaN fails
  if (loss.lone || (loss.upper && *loss.upper < budget.margin)) {
    out.outcome = Outcome::passes;
    return out;
  }
  out.outcome = Outcome::not_shown;
  if (!loss.upper) {
    out.more = std::max<int64_t>(1, loss.least - loss.units);
    return out;
  }
  // The distance of the bound falls with the root of the units; a sample's own value may be unlucky too.
  constexpr double kPower = 0.8;
  const double luck = 1 + normal_quantile(kPower) / normal_quantile(level);
  const double ratio = (*loss.upper - loss.value) * luck / (budget.margin - loss.value);
  const double needed = std::ceil(static_cast<double>(loss.units) * ratio * ratio);
  constexpr double kMost = 1e15;  // the value is all but the margin
  out.more = std::max<int64_t>(1, static_cast<int64_t>(std::min(needed, kMost)) - loss.units);
  return out;
}

}  // namespace miao::measure
