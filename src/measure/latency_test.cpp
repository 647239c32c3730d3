#include "measure/latency.h"

#include <gtest/gtest.h>

#include <cmath>

namespace miao::measure {
namespace {

std::vector<LatencySample> samples_of(const LatencyModel& truth, double noise, uint64_t seed) {
  runtime::Rng rng(seed);
  std::vector<LatencySample> out;
  for (int64_t n : {1, 8, 16, 48, 100, 200, 256, 300, 512, 700, 1024, 1500, 2048}) {
    out.push_back({n, truth(n) * (1 + noise * (2 * rng.uniform() - 1))});
  }
  return out;
}

TEST(Latency, FitFindsTheCoefficients) {
  const std::vector<LatencyModel> cases = {
      {.a = 0.003, .b = 2e-4, .c = 3e-8},
      {.a = 0, .b = 2e-4, .c = 0},
      {.a = 0.01, .b = 0, .c = 1e-7},
      {.a = 0.002, .b = 1e-4, .c = 1e-8, .d = 0.004, .chunk = 256},
  };
  for (const LatencyModel& truth : cases) {
    const auto exact = fit_latency(samples_of(truth, 0, 1), truth.chunk);
    ASSERT_TRUE(exact.ok());
    EXPECT_NEAR(exact->a, truth.a, 1e-8);
    EXPECT_NEAR(exact->b, truth.b, 1e-9);
    EXPECT_NEAR(exact->c, truth.c, 1e-12);
    EXPECT_NEAR(exact->d, truth.d, 1e-8);
    EXPECT_NEAR(exact->r2, 1, 1e-9);
    EXPECT_LT(exact->mape, 1e-6);
    const auto noisy = fit_latency(samples_of(truth, 0.04, 2), truth.chunk);
    ASSERT_TRUE(noisy.ok());
    EXPECT_LT(noisy->mape, 0.04);
    EXPECT_GT(noisy->r2, 0.99);
    for (int64_t n : {3, 150, 900, 2000}) EXPECT_NEAR((*noisy)(n) / truth(n), 1, 0.05);
  }
}

TEST(Latency, CoefficientsStayNonNegative) {
  // Times that fall per token (b n with a "negative" square): the bound holds and the fit is the best straight line.
  std::vector<LatencySample> samples;
  for (int64_t n : {10, 20, 40, 80, 160}) samples.push_back({n, 1e-3 * std::sqrt(static_cast<double>(n))});
  const auto fit = fit_latency(samples);
  ASSERT_TRUE(fit.ok());
  EXPECT_EQ(fit->c, 0);
  EXPECT_GT(fit->a, 0);
  EXPECT_GT(fit->b, 0);
}

TEST(Latency, BadSamples) {
  EXPECT_FALSE(fit_latency({}).ok());
  EXPECT_FALSE(fit_latency(std::vector<LatencySample>{{5, 1}, {5, 2}}).ok());
  EXPECT_FALSE(fit_latency(std::vector<LatencySample>{{5, 1}, {6, 0}}).ok());
  EXPECT_TRUE(fit_latency(std::vector<LatencySample>{{5, 1}, {6, 1}}).ok());
}

TEST(Latency, ExpectationsAreThoseOfTheDistribution) {
  const LatencyModel tau{.a = 1, .b = 2, .c = 3};
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

TEST(Latency, DrawsFollowTheDistribution) {
  runtime::Rng rng(4);
  for (const char* text : {"uniform:5:9", "poisson:30"}) {
    const auto d = LengthDistribution::parse(text, 100);
    ASSERT_TRUE(d.ok());
    double sum = 0;
    for (int i = 0; i < 20000; ++i) {
      const int64_t n = d->draw(rng);
      ASSERT_GE(n, d->min());
      ASSERT_LE(n, d->max());
      sum += static_cast<double>(n);
    }
    EXPECT_NEAR(sum / 20000, d->mean(), 0.15);
  }
}

TEST(Latency, BadDistributions) {
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
