#include "measure/lengths.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace miao::measure {
namespace {

TEST(Lengths, ExpectationsAreThoseOfTheDistribution) {
  const auto tau = [](int64_t n) { return 1 + 2 * static_cast<double>(n) + 3 * static_cast<double>(n * n); };
  const auto uniform = LengthDistribution::parse("uniform:16:128", 4096);
  ASSERT_TRUE(uniform.ok());
  const double m = 72, var = (113.0 * 113 - 1) / 12;
  EXPECT_NEAR(uniform->mean(), m, 1e-9);
  EXPECT_NEAR(uniform->expected(tau), 1 + 2 * m + 3 * (var + m * m), 1e-6);
  for (double lambda : {20.0, 100.0, 1000.0}) {
    const auto poisson = LengthDistribution::parse("poisson:" + std::to_string(static_cast<int>(lambda)), 4096);
    ASSERT_TRUE(poisson.ok());
    EXPECT_NEAR(poisson->expected(tau), 1 + 2 * lambda + 3 * (lambda + lambda * lambda), 1e-4 * lambda);
  }
  const auto lines = LengthDistribution::of({4, 4, 10}, 16, "file:x");
  ASSERT_TRUE(lines.ok());
  EXPECT_NEAR(lines->expected(tau), (2 * tau(4) + tau(10)) / 3, 1e-9);
  EXPECT_EQ(lines->min(), 4);
  EXPECT_EQ(lines->max(), 10);
}

TEST(Lengths, QuantilesAreTheLeastLengthsBeyond) {
  const auto d = LengthDistribution::of({2, 5, 5, 9}, 16, "file:x");
  ASSERT_TRUE(d.ok());
  EXPECT_EQ(d->quantile(0), 2);
  EXPECT_EQ(d->quantile(0.25), 5);
  EXPECT_EQ(d->quantile(0.74), 5);
  EXPECT_EQ(d->quantile(0.75), 9);
  EXPECT_EQ(d->quantile(1), 9);
}

// As many draws as lengths give each length once; fewer are spread evenly, and their mean is near that of the whole.
TEST(Lengths, StratifiedDrawsFollowTheDistribution) {
  runtime::Rng rng(4);
  const auto uniform = LengthDistribution::parse("uniform:1:64", 100);
  ASSERT_TRUE(uniform.ok());
  const std::vector<int64_t> each = uniform->stratified(64, rng);
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(each[i], static_cast<int64_t>(i) + 1);
  for (const char* text : {"uniform:5:9", "poisson:30"}) {
    const auto d = LengthDistribution::parse(text, 100);
    ASSERT_TRUE(d.ok());
    double all = 0;
    for (int round = 0; round < 200; ++round) {
      double sum = 0;
      int64_t last = 0;
      for (int64_t n : d->stratified(100, rng)) {
        ASSERT_GE(n, std::max(d->min(), last));
        ASSERT_LE(n, d->max());
        last = n;
        sum += static_cast<double>(n);
      }
      EXPECT_NEAR(sum / 100, d->mean(), 0.3) << text;  // independent draws of poisson:30 are up to 1.5 away
      all += sum / 100;
    }
    EXPECT_NEAR(all / 200, d->mean(), 0.02) << text;
  }
}

TEST(Lengths, BadDistributions) {
  for (const char* text : {"", "uniform", "uniform:5", "uniform:0:4", "uniform:9:5", "uniform:1:5000", "uniform:1:2:3",
                           "poisson:", "poisson:0", "poisson:-3", "poisson:5000", "poisson:1x", "normal:3",
                           "uniform:1:99999999999999999999"}) {
    const auto d = LengthDistribution::parse(text, 4096);
    ASSERT_FALSE(d.ok()) << text;
    EXPECT_EQ(d.error().code, Code::invalid);
  }
  EXPECT_FALSE(LengthDistribution::of({}, 10, "f").ok());
  EXPECT_FALSE(LengthDistribution::of({3, 0}, 10, "f").ok());
  EXPECT_FALSE(LengthDistribution::of({3, 11}, 10, "f").ok());
}

}  // namespace
}  // namespace miao::measure
