// Statistics of repeated measurements. Samples need no order; none of the functions takes an empty set.
#pragma once

#include <cstdint>
#include <span>

namespace miao::measure {

struct Spread {
  double median = 0, min = 0, max = 0;
};

struct Interval {
  double low = 0, high = 0;
};

// A figure and how far from it the truth may be, at a level that stands beside it.
struct Estimate {
  double value = 0;
  Interval ci;
};

double mean(std::span<const double> samples);
double median(std::span<const double> samples);
// q in 0 .. 1, linear between neighbours (numpy's default).
double quantile(std::span<const double> samples, double q);
double quantile_of_sorted(std::span<const double> ascending, double q);
Spread spread(std::span<const double> samples);
// Of count / each of the seconds; zero where there are none.
Spread rates(int64_t count, std::span<const double> seconds);

// The middle `level` of the samples: of resampled estimates, their bootstrap interval.
Interval middle(std::span<const double> samples, double level);

}  // namespace miao::measure
