#include "measure/stats.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace miao::measure {

double mean(std::span<const double> samples) {
  MIAO_CHECK(!samples.empty());
  double sum = 0;
  for (double x : samples) sum += x;
  return sum / static_cast<double>(samples.size());
}

double median(std::span<const double> samples) { return quantile(samples, 0.5); }

double quantile(std::span<const double> samples, double q) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  return quantile_of_sorted(sorted, q);
}

double quantile_of_sorted(std::span<const double> sorted, double q) {
  MIAO_CHECK(!sorted.empty() && q >= 0 && q <= 1);
  const double place = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(std::floor(place));
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

Spread spread(std::span<const double> samples) {
  return {median(samples), *std::min_element(samples.begin(), samples.end()),
          *std::max_element(samples.begin(), samples.end())};
}

Spread rates(int64_t count, std::span<const double> seconds) {
  if (seconds.empty()) return {};
  std::vector<double> out;
  for (const double s : seconds) out.push_back(static_cast<double>(count) / s);
  return spread(out);
}

Interval middle(std::span<const double> samples, double level) {
  return {quantile(samples, (1 - level) / 2), quantile(samples, (1 + level) / 2)};
}

}  // namespace miao::measure
