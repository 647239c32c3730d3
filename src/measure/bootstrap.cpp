#include "measure/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "measure/distributions.h"
#include "runtime/rng.h"

namespace miao::measure {

namespace {

// Skewness of the influence of units, from samples without a unit, or without a group of them where there are many.
double acceleration(size_t units, const Bootstrap::Statistic& statistic) {
  const size_t groups = std::min<size_t>(units, 200);
  std::vector<uint32_t> weights(units, 1);
  std::vector<double> without(groups);
  for (size_t g = 0; g < groups; ++g) {
    const auto begin = weights.begin() + static_cast<ptrdiff_t>(units * g / groups);
    const auto end = weights.begin() + static_cast<ptrdiff_t>(units * (g + 1) / groups);
    std::fill(begin, end, 0u);
    without[g] = statistic(weights);
    std::fill(begin, end, 1u);
  }
  const double middle = mean(without);
  double squares = 0, cubes = 0;
  for (const double value : without) {
    const double influence = middle - value;
    squares += influence * influence;
    cubes += influence * influence * influence;
  }
  return squares > 0 ? cubes / (6 * squares * std::sqrt(squares)) : 0;
}

}  // namespace

Bootstrap::Bootstrap(size_t units, const Statistic& statistic, const BootstrapOptions& options) : units_(units) {
  MIAO_CHECK(units >= kLeastUnits && options.resamples >= 100);
  std::vector<uint32_t> weights(units, 1);
  value_ = statistic(weights);
  runtime::Rng rng(options.seed);
  for (int i = 0; i < options.resamples; ++i) {
    std::fill(weights.begin(), weights.end(), 0u);
    for (size_t j = 0; j < units; ++j) ++weights[rng.below(units)];
    resamples_.push_back(statistic(weights));
  }
  std::sort(resamples_.begin(), resamples_.end());
  if (options.percentile) return;
  const auto [low, high] = std::equal_range(resamples_.begin(), resamples_.end(), value_);
  const auto below = static_cast<double>(low - resamples_.begin()), equal = static_cast<double>(high - low);
  const auto count = static_cast<double>(resamples_.size());
  bias_ = normal_quantile(std::clamp((below + equal / 2) / count, 0.5 / count, 1 - 0.5 / count));
  acceleration_ = acceleration(units, statistic);
}

double Bootstrap::error() const {
  const double middle = mean(resamples_);
  double squares = 0;
  for (const double value : resamples_) squares += (value - middle) * (value - middle);
  return std::sqrt(squares / static_cast<double>(resamples_.size() - 1));
}

double Bootstrap::bound(double p) const {
  MIAO_CHECK(p > 0 && p < 1);
  const auto n = static_cast<double>(units_);
  const double shift = bias_ + std::sqrt(n / (n - 1)) * student_quantile(p, n - 1);
  const double room = 1 - acceleration_ * shift;
  // With a skewness beyond what the correction is made for, the last resample is the best that there is.
  const double place = room > 0 ? normal_cdf(bias_ + shift / room) : shift > 0 ? 1 : 0;
  return quantile_of_sorted(resamples_, place);
}

Bootstrap::Statistic weighted_mean(std::span<const double> values, std::span<const double> sizes) {
  MIAO_CHECK(values.size() == sizes.size());
  return [=](std::span<const uint32_t> weights) {
    double sum = 0, size = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      sum += weights[i] * values[i];
      size += weights[i] * sizes[i];
    }
    return sum / size;
  };
}

}  // namespace miao::measure
