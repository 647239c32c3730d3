#include "measure/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/rng.h"

namespace miao::measure {
namespace {

std::vector<LatencyPoint> points_of(const LatencyModel& truth, double noise, uint64_t seed) {
  runtime::Rng rng(seed);
  std::vector<LatencyPoint> out;
  for (int64_t n : telling_lengths(1, 2048, truth.chunk))
    out.push_back({n, truth(n) * (1 + noise * (2 * rng.uniform() - 1))});
  return out;
}

TEST(Latency, TermsAreWhatTheirNamesSay) {
  const LatencyModel tau{.seconds = {1, 0.1, 0.01, 2, 10, 20, 100, 1000}, .chunk = 256};
  EXPECT_DOUBLE_EQ(tau(1), 1.11);
  EXPECT_DOUBLE_EQ(tau(4), 1.56 + 6);
  EXPECT_DOUBLE_EQ(tau(5), 11.75 + 6);
  EXPECT_DOUBLE_EQ(tau(16), 1 + 1.6 + 2.56 + 6 + 10);
  EXPECT_DOUBLE_EQ(tau(17), 1 + 1.7 + 2.89 + 6 + 10 + 20 + 100);
  EXPECT_DOUBLE_EQ(tau(257), 1 + 25.7 + 660.49 + 6 + 10 + 20 + 1600 + 1000);
  EXPECT_EQ(
      tau.formula(),
      "1e+03 + 100 n + 10 n^2 + 2e+03 (min(n, 4) - 1) + 1e+04 [n > 4] + 2e+04 [n > 16] + 1e+05 (ceil(n / 16) - 1) "
      "+ 1e+06 (ceil(n / 256) - 1)");
  EXPECT_EQ((LatencyModel{.seconds = {0, 0.0012}}).formula(), "1.2 n");
}

TEST(Latency, FitFindsTheCoefficients) {
  const std::vector<LatencyModel> cases = {
      {.seconds = {0.003, 2e-4, 3e-8}},
      {.seconds = {0, 2e-4}},
      {.seconds = {0.01, 0, 1e-7}},
      {.seconds = {0.0025, 1e-4, 0, 3e-4, 0.0015, 0.002, 0.0018}},
      {.seconds = {0.002, 1e-4, 1e-8, 0, 0, 0, 0, 0.004}, .chunk = 256},
  };
  for (const LatencyModel& truth : cases) {
    const auto points = points_of(truth, 0, 1);
    const auto exact = fit_latency(points, truth.chunk);
    ASSERT_TRUE(exact.ok());
    for (size_t i = 0; i < kLatencyTerms; ++i)
      EXPECT_NEAR(exact->seconds[i], truth.seconds[i], 1e-5 * truth.seconds[i]) << i;
    const FitError none = fit_error(*exact, points);
    EXPECT_NEAR(none.r2, 1, 1e-9);
    EXPECT_LT(none.largest, 1e-5);
    EXPECT_LT(none.left_out, 1e-5);
    const auto noisy_points = points_of(truth, 0.04, 2);
    const auto noisy = fit_latency(noisy_points, truth.chunk);
    ASSERT_TRUE(noisy.ok());
    const FitError some = fit_error(*noisy, noisy_points);
    EXPECT_LT(some.mean, 0.04);
    EXPECT_GT(some.left_out, some.mean);
    EXPECT_GT(some.r2, 0.98);
    for (int64_t n : {3, 25, 150, 900, 2000}) EXPECT_NEAR((*noisy)(n) / truth(n), 1, 0.06) << n;
  }
}

// A term that noise alone would bring in costs more than it gives.
TEST(Latency, NoiseBringsInFewTerms) {
  const LatencyModel truth{.seconds = {0.003, 2e-4}};
  int terms = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto fit = fit_latency(points_of(truth, 0.03, seed));
    ASSERT_TRUE(fit.ok());
    terms += static_cast<int>(std::ranges::count_if(fit->seconds, [](double v) { return v > 0; }));
  }
  EXPECT_LT(terms, 20 * 3);
}

TEST(Latency, CoefficientsStayNonNegative) {
  // Times that fall per token (b n with a "negative" square): the bound holds.
  std::vector<LatencyPoint> points;
  for (int64_t n : {10, 20, 40, 80, 160}) points.push_back({n, 1e-3 * std::sqrt(static_cast<double>(n))});
  const auto fit = fit_latency(points);
  ASSERT_TRUE(fit.ok());
  EXPECT_EQ(fit->seconds[kSquare], 0);
  for (double v : fit->seconds) EXPECT_GE(v, 0);
  EXPECT_GT((*fit)(160), (*fit)(10));
}

// Steps that all points have behind them are no terms: what they cost is part of every pass.
TEST(Latency, StepsBehindAllPointsBelongToThePass) {
  const LatencyModel truth{.seconds = {0.002, 1e-4, 0, 3e-4, 0.0015, 0.002, 0.0018}};
  std::vector<LatencyPoint> points;
  for (int64_t n : telling_lengths(20, 200, 0)) points.push_back({n, truth(n)});
  const auto fit = fit_latency(points);
  ASSERT_TRUE(fit.ok());
  EXPECT_NEAR(fit->seconds[kPass], 0.002 + 3 * 3e-4 + 0.0015 + 0.002, 1e-7);
  for (LatencyTerm term : {kRows, kFew, kMany}) EXPECT_EQ(fit->seconds[term], 0);
}

TEST(Latency, ErrorsAreThoseOfThePoints) {
  const LatencyModel tau{.seconds = {1}};
  const FitError error = fit_error(tau, std::vector<LatencyPoint>{{1, 1}, {2, 0.5}, {3, 2}});
  EXPECT_DOUBLE_EQ(error.mean, (0 + 1 + 0.5) / 3);
  EXPECT_DOUBLE_EQ(error.largest, 1);
  EXPECT_EQ(error.largest_at, 2);
  const double mean = 3.5 / 3;
  EXPECT_DOUBLE_EQ(error.r2,
                   1 - 1.25 / ((1 - mean) * (1 - mean) + (0.5 - mean) * (0.5 - mean) + (2 - mean) * (2 - mean)));
}

TEST(Latency, BadPoints) {
  EXPECT_FALSE(fit_latency({}).ok());
  EXPECT_FALSE(fit_latency(std::vector<LatencyPoint>{{5, 1}, {5, 2}}).ok());
  EXPECT_FALSE(fit_latency(std::vector<LatencyPoint>{{5, 1}, {6, 0}}).ok());
  EXPECT_TRUE(fit_latency(std::vector<LatencyPoint>{{5, 1}, {6, 1}}).ok());
}

TEST(Latency, TellingLengthsStandOnBothSidesOfSteps) {
  const std::vector<int64_t> n = telling_lengths(1, 600, 256);
  for (int64_t want : {1, 4, 5, 16, 17, 256, 257, 512, 513, 600}) EXPECT_TRUE(std::ranges::count(n, want)) << want;
  EXPECT_TRUE(std::ranges::is_sorted(n));
  EXPECT_LE(n.size(), 30u);
  EXPECT_EQ(telling_lengths(7, 7, 0), std::vector<int64_t>{7});
  EXPECT_EQ(telling_lengths(4, 6, 0), (std::vector<int64_t>{4, 5, 6}));
}

}  // namespace
}  // namespace miao::measure
