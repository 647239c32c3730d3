#include "measure/stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/check.h"
#include "runtime/rng.h"

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

// The interval of the mean of n uniform numbers holds the true mean about 95 times in 100.
TEST(Stats, BootstrapCovers) {
  runtime::Rng rng(3);
  int covered = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<double> x(40);
    for (double& v : x) v = rng.uniform();
    const Interval i = bootstrap(x, mean, 0.95, 300, static_cast<uint64_t>(round));
    EXPECT_LT(i.low, i.high);
    covered += i.low <= 0.5 && 0.5 <= i.high;
  }
  EXPECT_GE(covered, 178);
  EXPECT_LE(covered, 200);
  const std::vector<double> x = {1, 2, 3, 4, 5};
  EXPECT_EQ(bootstrap(x, median).low, bootstrap(x, median).low);
}

}  // namespace
}  // namespace miao::measure
