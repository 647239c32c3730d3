#include "measure/stats.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/check.h"

namespace miao::measure {
namespace {

TEST(Stats, QuantilesAsNumpy) {
  const std::vector<double> x = {7, 1, 3, 10};  // numpy.quantile(x, ...)
  EXPECT_DOUBLE_EQ(median(x), 5);
  EXPECT_DOUBLE_EQ(quantile(x, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(x, 1), 10);
  EXPECT_DOUBLE_EQ(quantile(x, 0.9), 9.1);
  EXPECT_DOUBLE_EQ(quantile(x, 0.25), 2.5);
  EXPECT_DOUBLE_EQ(mean(x), 5.25);
  const Spread s = spread(x);
  EXPECT_EQ(s.median, 5);
  EXPECT_EQ(s.min, 1);
  EXPECT_EQ(s.max, 10);
  EXPECT_EQ(median(std::vector<double>{4}), 4);
  EXPECT_THROW(median({}), Bug);
}

TEST(Stats, RatesOfOneCount) {
  const double seconds[] = {2, 1, 4};
  const Spread s = rates(8, seconds);
  EXPECT_EQ(s.median, 4);
  EXPECT_EQ(s.min, 2);
  EXPECT_EQ(s.max, 8);
  EXPECT_EQ(rates(8, {}).median, 0);
}

TEST(Stats, MiddleLeavesOutAsMuchAtBothEnds) {
  std::vector<double> x(101);
  for (size_t i = 0; i < x.size(); ++i) x[x.size() - 1 - i] = static_cast<double>(i);
  EXPECT_DOUBLE_EQ(middle(x, 0.9).low, 5);
  EXPECT_DOUBLE_EQ(middle(x, 0.9).high, 95);
  EXPECT_EQ(middle(std::vector<double>{2}, 0.95).low, 2);
}

}  // namespace
}  // namespace miao::measure
