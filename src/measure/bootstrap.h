// The bootstrap: how far a statistic may be from the truth, found by drawing the units of its sample again, with
// replacement. A unit is what is independent of the others: a chunk of a text, a question, a recording, not a token.
// A comparison of two models draws the units with both models' values, so that what is common to both falls out.
//
// Ends are BCa (Efron, JASA 82, 1987): corrected for bias and skewness, and the same for any monotone function of the
// statistic. Those of few units are moved out as Student's t is from the normal distribution (Hesterberg, "What
// teachers should know about the bootstrap", 2015), without which they cover too rarely.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "measure/stats.h"

namespace miao::measure {

constexpr size_t kLeastUnits = 8;  // of fewer, resamples are too much alike to say anything

struct BootstrapOptions {
  int resamples = 2000;
  uint64_t seed = 1;
  // Of quantiles: leaving a unit out tells nothing of their skewness. The ends are those of the resamples alone.
  bool percentile = false;
};

class Bootstrap {
 public:
  // weights[i]: how often unit i stands in the sample.
  using Statistic = std::function<double(std::span<const uint32_t> weights)>;
  // At least kLeastUnits. The same numbers give the same result on every machine.
  Bootstrap(size_t units, const Statistic& statistic, const BootstrapOptions& options = {});

  double value() const { return value_; }  // of the sample itself
  double error() const;                    // standard deviation of the resamples
  double bound(double p) const;            // the truth is below it with probability p; 0 < p < 1
  Interval interval(double level) const { return {bound((1 - level) / 2), bound((1 + level) / 2)}; }

 private:
  size_t units_;
  double value_ = 0, bias_ = 0, acceleration_ = 0;
  std::vector<double> resamples_;  // ascending
};

// sum(values) / sum(sizes) over the weighted units; as many sizes as values. It keeps no copy of them.
Bootstrap::Statistic weighted_mean(std::span<const double> values, std::span<const double> sizes);

}  // namespace miao::measure
