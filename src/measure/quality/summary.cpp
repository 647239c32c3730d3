#include "measure/quality/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "measure/intervals.h"

namespace miao::measure {

namespace {

double of_sample(size_t units, const Bootstrap::Statistic& statistic) {
  return statistic(std::vector<uint32_t>(units, 1));
}

}  // namespace

Metric resampled(const Quality& quality, std::string key, std::string label, const Bootstrap::Statistic& statistic,
                 Metric::Form form, bool percentile) {
  const auto units = static_cast<size_t>(quality.units);
  Metric out{std::move(key), std::move(label), of_sample(units, statistic), {}, form};
  if (units < kLeastUnits) return out;
  const Bootstrap b(units, statistic, {.percentile = percentile});
  out.ci = b.interval(quality.level);
  return out;
}

Loss resampled_loss(const Quality& quality, std::string metric, const Bootstrap::Statistic& statistic) {
  const auto units = static_cast<size_t>(quality.units);
  Loss out{std::move(metric), of_sample(units, statistic), {}, quality.units, static_cast<int64_t>(kLeastUnits)};
  if (units >= kLeastUnits) out.upper = Bootstrap(units, statistic).bound(quality.level);
  return out;
}

Loss resampled_share_loss(const Quality& quality, std::string metric, const Bootstrap::Statistic& statistic,
                          int64_t n) {
  Loss out = resampled_loss(quality, std::move(metric), statistic);
  if (out.upper) {
    out.upper = std::max(*out.upper, clopper_pearson(0, static_cast<double>(n), one_sided(quality.level)).high);
  }
  return out;
}

Chart histogram(std::string title, std::string description, std::string x_label, std::span<const float> values,
                bool log) {
  constexpr size_t kBins = 40;
  constexpr double kFloor = 1e-8;  // what is less, zeros too, is counted there on a logarithmic axis
  Chart out{.title = std::move(title),
            .description = std::move(description),
            .x_label = std::move(x_label),
            .y_label = "count",
            .series = {},
            .log_x = log};
  if (values.empty()) return out;
  const auto scaled = [&](float v) { return log ? std::log10(std::max(double{v}, kFloor)) : double{v}; };
  const auto [least, most] = std::ranges::minmax(values);
  double low = scaled(least), high = scaled(most);
  if (!(high > low)) low -= 0.5, high += 0.5;
  const double width = (high - low) / kBins;
  std::vector<int64_t> counts(kBins, 0);
  for (const float v : values)
    ++counts[std::min(kBins - 1, static_cast<size_t>(std::max(0.0, (scaled(v) - low) / width)))];
  Series& bars = series_of(out, "count", Mark::bars);
  const auto edge = [&](size_t i) {
    const double at = low + width * static_cast<double>(i);
    return log ? std::pow(10, at) : at;
  };
  for (size_t i = 0; i < kBins; ++i) {
    if (counts[i] == 0) continue;
    const double from = edge(i), to = edge(i + 1);
    bars.points.push_back({.x = log ? std::sqrt(from * to) : (from + to) / 2,
                           .y = static_cast<double>(counts[i]),
                           .low = from,
                           .high = to,
                           .label = fmt::format("{} to {}", short_number(from), short_number(to)),
                           .plain = true});
  }
  return out;
}

}  // namespace miao::measure
