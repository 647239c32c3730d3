#include "measure/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace miao::measure {

std::string shown(const Metric& metric, double value) {
  if (!std::isfinite(value)) return "-";
  switch (metric.form) {
    case Metric::Form::percent:
      return fmt::format("{:.{}f} %", 100 * value, std::fabs(value) < 0.0995 ? 3 : 2);
    case Metric::Form::count:
      return fmt::format("{:.0f}", value);
    case Metric::Form::number:
      break;
  }
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (std::fabs(1 - size) < 0.01) return fmt::format("{:.6f}", value);  // cosines
  return size < 1e-4 ? fmt::format("{:.3e}", value) : fmt::format("{:.{}f}", value, size < 0.1 ? 6 : size < 10 ? 4 : 3);
}

const Metric* Quality::find(std::string_view key) const {
  const auto at = std::ranges::find(metrics, key, &Metric::key);
  return at == metrics.end() ? nullptr : &*at;
}

std::string Quality::count() const {
  const auto counted = [](int64_t n, const std::string& what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  return item == unit ? counted(items, item) : counted(items, item) + " of " + counted(units, unit);
}

Outcome Quality::outcome() const {
  Outcome out = Outcome::passes;
  for (const Verdict& v : verdicts) out = std::max(out, v.outcome);
  return out;
}

Result<void> judge(Quality& quality, std::span<const Budget> budgets) {
  for (const Budget& budget : budgets) {
    if (!quality.paired) {
      return Error{Code::invalid, "a loss is against a base; name one (--against)", "budget " + budget.text()};
    }
    auto loss = quality.losses.begin();
    if (!budget.metric.empty()) loss = std::ranges::find(quality.losses, budget.metric, &Loss::metric);
    if (loss == quality.losses.end()) {
      std::string names;
      for (const Loss& l : quality.losses) names += (names.empty() ? "" : ", ") + l.metric;
      return Error{Code::invalid, "this measurement has no such loss, but " + names, "budget " + budget.text()};
    }
    Budget named = budget;
    named.metric = loss->metric;
    quality.verdicts.push_back(judge(named, *loss, quality.level));
  }
  return {};
}

}  // namespace miao::measure
