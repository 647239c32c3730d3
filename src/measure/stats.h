// Statistics of repeated timings. Samples need no order; none of the functions takes an empty set.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace miao::measure {

struct Spread {
  double median = 0, min = 0, max = 0;
};

struct Interval {
  double low = 0, high = 0;
};

double mean(std::span<const double> samples);
double median(std::span<const double> samples);
// q in 0 .. 1, linear between neighbours (numpy's default).
double quantile(std::span<const double> samples, double q);
Spread spread(std::span<const double> samples);

// Percentile bootstrap: the middle `level` of `statistic` over `resamples` sets drawn with replacement. The same seed
// gives the same interval.
Interval bootstrap(std::span<const double> samples, const std::function<double(std::span<const double>)>& statistic,
                   double level = 0.95, int resamples = 2000, uint64_t seed = 1);

}  // namespace miao::measure
