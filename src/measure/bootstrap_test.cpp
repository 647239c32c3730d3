#include "measure/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/check.h"
#include "measure/distributions.h"
#include "runtime/rng.h"

namespace miao::measure {
namespace {

double normal(runtime::Rng& rng) { return normal_quantile(std::min(1 - 1e-12, rng.uniform() + 0x1p-54)); }

// The share of `trials` samples whose interval at 95 % holds the truth.
template <class Draw>
double coverage(int trials, size_t units, double truth, Draw draw) {
  runtime::Rng rng(7);
  int held = 0;
  const std::vector<double> sizes(units, 1);
  std::vector<double> values(units);
  for (int t = 0; t < trials; ++t) {
    for (double& v : values) v = draw(rng);
    const Bootstrap b(units, weighted_mean(values, sizes),
                      {.resamples = 1000, .seed = static_cast<uint64_t>(t), .percentile = false});
    const Interval ci = b.interval(0.95);
    held += ci.low <= truth && truth <= ci.high;
  }
  return held / static_cast<double>(trials);
}

TEST(SlowBootstrap, IntervalsHoldTheTruthAsOftenAsTheySay) {
  const auto gaussian = [](runtime::Rng& rng) { return 3 + 2 * normal(rng); };
  // Skewed as the divergences of chunks are: lognormal, standard deviation half of the mean.
  const double sigma = std::sqrt(std::log(1.25));
  const auto skewed = [=](runtime::Rng& rng) { return std::exp(sigma * normal(rng)); };
  for (const size_t units : {size_t{10}, size_t{30}, size_t{100}}) {
    const double even = coverage(2000, units, 3, gaussian), uneven = coverage(2000, units, std::sqrt(1.25), skewed);
    EXPECT_GE(even, 0.93) << units;
    EXPECT_LE(even, 0.97) << units;
    EXPECT_GE(uneven, units < 20 ? 0.90 : 0.93) << units;
    EXPECT_LE(uneven, 0.97) << units;
  }
}

TEST(Bootstrap, IsAFunctionOfItsInput) {
  const std::vector<double> x = {1, 5, 2, 8, 3, 9, 4, 4, 7, 20}, ones(x.size(), 1);
  const Bootstrap a(x.size(), weighted_mean(x, ones)), b(x.size(), weighted_mean(x, ones));
  EXPECT_DOUBLE_EQ(a.value(), 6.3);
  EXPECT_EQ(a.bound(0.9), b.bound(0.9));
  EXPECT_LT(a.interval(0.95).low, a.interval(0.8).low);
  EXPECT_GT(a.interval(0.95).high, a.interval(0.8).high);
  // The error of a mean: the deviation of the sample (n, not n - 1) over the root of n.
  EXPECT_NEAR(a.error(), 5.197 / std::sqrt(10.0), 0.1);
  EXPECT_GT(a.interval(0.95).high - 6.3, 6.3 - a.interval(0.95).low);  // skewed as the sample is
  EXPECT_NE(Bootstrap(x.size(), weighted_mean(x, ones), {.resamples = 2000, .seed = 2, .percentile = false}).bound(0.9),
            a.bound(0.9));
}

TEST(Bootstrap, BoundsOfAFunctionAreTheFunctionOfTheBounds) {
  const std::vector<double> x = {1, 5, 2, 8, 3, 9, 4, 4, 7, 20}, ones(x.size(), 1);
  const auto plain = weighted_mean(x, ones);
  const Bootstrap a(x.size(), plain);
  const Bootstrap b(x.size(), [&](std::span<const uint32_t> w) { return std::exp(plain(w) / 100); });
  EXPECT_NEAR(100 * std::log(b.bound(0.95)), a.bound(0.95), 0.1);
}

TEST(Bootstrap, WhatDoesNotVaryHasNoWidth) {
  const std::vector<double> x(20, 0.0), ones(x.size(), 1);
  const Bootstrap a(x.size(), weighted_mean(x, ones));
  EXPECT_EQ(a.value(), 0);
  EXPECT_EQ(a.bound(0.999), 0);
  EXPECT_EQ(a.error(), 0);
  EXPECT_THROW(Bootstrap(kLeastUnits - 1, weighted_mean(x, ones)), Bug);
}

TEST(Bootstrap, SizesAreWeights) {
  const std::vector<double> x = {10, 0}, sizes = {1, 4};
  const uint32_t once[] = {1, 1}, twice[] = {2, 1};
  EXPECT_DOUBLE_EQ(weighted_mean(x, sizes)(once), 2);
  EXPECT_DOUBLE_EQ(weighted_mean(x, sizes)(twice), 20.0 / 6);
}

}  // namespace
}  // namespace miao::measure
