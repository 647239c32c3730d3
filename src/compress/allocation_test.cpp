#include "compress/allocation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace miao::compress {
namespace {

Problem random_problem(uint32_t seed, size_t items, size_t options) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  Problem out;
  out.fixed = {0, 0.5, 0.1, 10};
  for (size_t i = 0; i < items; ++i) {
    std::vector<Costs>& item = out.items.emplace_back();
    for (size_t o = 0; o < options; ++o) {
      const double bits = 1 + 15 * unit(rng);
      item.push_back({std::exp2(-bits) * (1 + unit(rng)), bits * 0.1 * (1 + 0.2 * unit(rng)), bits * 0.01, bits});
    }
  }
  return out;
}

// Every allocation of a small problem.
template <class F>
void each(const Problem& p, F body) {
  std::vector<size_t> choice(p.items.size(), 0);
  for (;;) {
    body(choice);
    size_t i = 0;
    while (i < choice.size() && ++choice[i] == p.items[i].size()) choice[i++] = 0;
    if (i == choice.size()) return;
  }
}

TEST(Allocation, NearTheOptimumAndWithinItsBound) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Problem p = random_problem(seed, 6, 4);
    CostLimits limits;
    limits[kSeconds] = 0.5 + 6 * 0.6;
    if (seed % 2) limits[kBytes] = 10 + 6 * 5.5;
    double best = 1e9;
    each(p, [&](const std::vector<size_t>& choice) {
      const Costs sum = total(p, choice);
      if (sum[kSeconds] <= *limits[kSeconds] && (!limits[kBytes] || sum[kBytes] <= *limits[kBytes]))
        best = std::min(best, sum[kLoss]);
    });
    const Allocation got = solve(p, kLoss, limits);
    if (best == 1e9) {
      EXPECT_FALSE(got.feasible);
      continue;
    }
    ASSERT_TRUE(got.feasible) << seed;
    EXPECT_LE(got.bound, best + 1e-12) << seed;
    EXPECT_GE(got.total[kLoss], best - 1e-12) << seed;
    EXPECT_LE(got.total[kLoss], best * 1.5) << seed;  // a few items leave little to choose from
    EXPECT_EQ(got.total, total(p, got.choice));
    EXPECT_LE(got.total[kSeconds], *limits[kSeconds]);
  }
}

// Times that follow nothing, and limits of loss and size that few choices keep: what exists is found.
TEST(Allocation, WithinSeveralTightLimits) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Problem p = random_problem(seed, 6, 4);
    std::mt19937 rng(seed);
    std::uniform_real_distribution<double> unit(0, 1);
    for (auto& item : p.items) {
      for (Costs& option : item) option[kSeconds] = unit(rng);
    }
    CostLimits limits;
    limits[kBytes] = 10 + 6 * 5.0;
    double least = 1e9, best = 1e9;
    const auto within = [&](const Costs& sum) {
      return sum[kBytes] <= *limits[kBytes] && (!limits[kLoss] || sum[kLoss] <= *limits[kLoss]);
    };
    each(p, [&](const std::vector<size_t>& choice) {
      const Costs sum = total(p, choice);
      if (within(sum)) least = std::min(least, sum[kLoss]);
    });
    if (least == 1e9) continue;
    limits[kLoss] = least * 1.05;
    each(p, [&](const std::vector<size_t>& choice) {
      const Costs sum = total(p, choice);
      if (within(sum)) best = std::min(best, sum[kSeconds]);
    });
    const Allocation got = solve(p, kSeconds, limits);
    EXPECT_TRUE(got.feasible) << seed;
    EXPECT_LE(got.bound, best + 1e-9) << seed;
    if (got.feasible) EXPECT_TRUE(within(got.total)) << seed;
  }
}

TEST(Allocation, ManyItemsComeCloseToTheBound) {
  const Problem p = random_problem(7, 200, 8);
  CostLimits limits;
  limits[kLoss] = 1.0;
  const Allocation got = solve(p, kSeconds, limits);
  ASSERT_TRUE(got.feasible);
  EXPECT_LE(got.total[kLoss], 1.0);
  EXPECT_LT(got.total[kSeconds] - got.bound, 0.002 * got.total[kSeconds]);
}

TEST(Allocation, WhatCannotBeIsTheNearest) {
  const Problem p = random_problem(3, 10, 4);
  CostLimits limits;
  limits[kBytes] = 11;
  const Allocation got = solve(p, kLoss, limits);
  EXPECT_FALSE(got.feasible);
  Costs least = p.fixed;
  for (const auto& item : p.items)
    least[kBytes] += std::ranges::min_element(item, {}, [](const Costs& c) { return c[kBytes]; })->at(kBytes);
  EXPECT_NEAR(got.total[kBytes], least[kBytes], 1e-9);
}

TEST(Allocation, NoLimitsAreTheLeastOfTheGoal) {
  const Problem p = random_problem(4, 10, 4);
  const Allocation got = solve(p, kBytes, {});
  ASSERT_TRUE(got.feasible);
  EXPECT_NEAR(got.total[kBytes], got.bound, 1e-9);
}

TEST(Allocation, TheFrontIsConvexAndNothingLiesBelowIt) {
  const Problem p = random_problem(11, 6, 4);
  const std::vector<Allocation> points = front(p, kLoss, kSeconds);
  ASSERT_GT(points.size(), 6u);
  for (size_t i = 1; i < points.size(); ++i) {
    EXPECT_GE(points[i].total[kLoss], points[i - 1].total[kLoss] - 1e-12);
    EXPECT_LT(points[i].total[kSeconds], points[i - 1].total[kSeconds]);
  }
  each(p, [&](const std::vector<size_t>& choice) {
    const Costs sum = total(p, choice);
    for (size_t i = 1; i < points.size(); ++i) {
      const Costs &x = points[i - 1].total, &y = points[i].total;
      // above the line through both
      const double cross =
          (y[kSeconds] - x[kSeconds]) * (sum[kLoss] - x[kLoss]) - (y[kLoss] - x[kLoss]) * (sum[kSeconds] - x[kSeconds]);
      ASSERT_LE(cross, 1e-9);
    }
  });
}

}  // namespace
}  // namespace miao::compress
