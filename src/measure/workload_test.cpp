// Predicted beside measured latency, on clocks whose truth is known.
#include "measure/workload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace miao::measure {
namespace {

const LatencyModel kStairs{.seconds = {0.0025, 1e-4, 0, 3e-4, 0.0015, 0.002, 0.0018}};

Workload workload(const char* lengths, uint64_t seed) {
  auto parsed = LengthDistribution::parse(lengths, 4096);
  EXPECT_TRUE(parsed.ok());
  return {.lengths = std::move(*parsed), .seed = seed};
}

// Passes take tau(n), times noise that is seldom and long, as interruptions are. A batch takes the sum.
TimePass clock_of(std::function<double(int64_t)> tau, runtime::Rng& rng) {
  return [tau = std::move(tau), &rng](std::span<const int64_t> lengths) -> Result<double> {
    double sum = 0;
    for (int64_t n : lengths) sum += tau(n);
    return sum * (1 + 0.02 * rng.uniform() + (rng.uniform() < 0.03 ? 0.5 : 0));
  };
}

TEST(SlowWorkload, PredictionAndMeasurementAgreeOnAStaircase) {
  constexpr double kNoise = 1 + 0.01 + 0.015;  // its mean
  for (const char* lengths : {"uniform:1:64", "poisson:10", "uniform:100:700"}) {
    int agree = 0, covers_prediction = 0, covers_measurement = 0;
    constexpr int kRounds = 30;
    for (uint64_t seed = 0; seed < kRounds; ++seed) {
      runtime::Rng rng(1000 + seed);
      const Workload w = workload(lengths, seed);
      const auto report = measure_workload(w, 256, clock_of(kStairs, rng));
      ASSERT_TRUE(report.ok());
      const double truth = w.lengths.expected(kStairs) * kNoise;
      EXPECT_NEAR(report->predicted.value / truth, 1, 0.05);
      EXPECT_NEAR(report->measured.value / truth, 1, 0.05);
      const auto inside = [&](const Interval& i) { return i.low <= truth && truth <= i.high; };
      covers_prediction += inside(report->predicted.ci);
      covers_measurement += inside(report->measured.ci);
      agree += report->agrees();
    }
    EXPECT_GE(agree, kRounds * 8 / 10) << lengths;
    EXPECT_GE(covers_measurement, kRounds * 7 / 10) << lengths;
    EXPECT_GE(covers_prediction, kRounds * 7 / 10) << lengths;
  }
}

TEST(Workload, AMissIsSaid) {
  runtime::Rng rng(5);
  // Latency that falls with length is beyond the model.
  const auto falling = [](int64_t n) { return 0.01 / std::sqrt(static_cast<double>(n)); };
  const auto report = measure_workload(workload("uniform:1:64", 1), 256, clock_of(falling, rng));
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->agrees());
  EXPECT_GT(report->error.mean, 0.2);
}

TEST(Workload, BatchesAreWhole) {
  runtime::Rng rng(5);
  Workload w = workload("uniform:1:64", 1);
  w.batch = 16;
  std::vector<size_t> sizes;
  const TimePass time = [&](std::span<const int64_t> lengths) -> Result<double> {
    sizes.push_back(lengths.size());
    return 0.001 * static_cast<double>(lengths.size());
  };
  const auto report = measure_workload(w, 256, time);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->inputs.size(), 112u);  // 100 rounded up
  EXPECT_GE(std::ranges::count(sizes, 16u), 7);
  EXPECT_EQ(std::ranges::count(sizes, 1u) + std::ranges::count(sizes, 16u), static_cast<int64_t>(sizes.size()));
  EXPECT_DOUBLE_EQ(report->batch_seconds.value, 0.016);
  EXPECT_DOUBLE_EQ(report->batch_inputs_per_second, 1000);
}

// A machine that is half as fast in the second half slows both sides alike.
TEST(Workload, DriftHitsBothSides) {
  int calls = 0, all = 0;
  const TimePass steady = [&](std::span<const int64_t> lengths) -> Result<double> {
    ++all;
    return kStairs(lengths[0]);
  };
  ASSERT_TRUE(measure_workload(workload("uniform:1:64", 3), 256, steady).ok());
  const TimePass drift = [&](std::span<const int64_t> lengths) -> Result<double> {
    return kStairs(lengths[0]) * (++calls < all / 2 ? 1 : 2);
  };
  const auto report = measure_workload(workload("uniform:1:64", 3), 256, drift);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->agrees());
  EXPECT_NEAR(report->difference.value, 0, 0.15);
}

// Repetitions that differ wildly must neither make resampled times negative, which no fit takes, nor draw the fit to
// those that happen to be short.
TEST(Workload, WildNoise) {
  runtime::Rng rng(6);
  Workload w = workload("uniform:1:64", 2);
  w.reps = 2;
  w.samples = 10;
  const auto report =
      measure_workload(w, 256, [&](auto) -> Result<double> { return rng.uniform() < 0.5 ? 0.001 : 0.1; });
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_GT(report->predicted.ci.low, 0);
  EXPECT_NEAR(report->predicted.value / 0.0505, 1, 0.4);
}

TEST(Workload, OneLengthAloneAndErrorsOfTheClock) {
  runtime::Rng rng(5);
  for (const char* lengths : {"uniform:1:1", "uniform:40:40"}) {
    const auto report = measure_workload(workload(lengths, 1), 256, clock_of(kStairs, rng));
    ASSERT_TRUE(report.ok()) << lengths;
    EXPECT_NEAR(report->difference.value, 0, 0.2) << lengths;
  }
  const auto fails = measure_workload(workload("poisson:3", 1), 256, [](auto) -> Result<double> {
    return Error{Code::cancelled, "interrupted", "bench"};
  });
  ASSERT_FALSE(fails.ok());
  EXPECT_EQ(fails.error().code, Code::cancelled);
}

}  // namespace
}  // namespace miao::measure
