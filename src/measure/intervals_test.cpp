#include "measure/intervals.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/check.h"
#include "runtime/rng.h"

namespace miao::measure {
namespace {

struct Case {
  int64_t hits, n;
  double level;
  Interval score, exact;
};

// scipy 1.17.1: binomtest(hits, n).proportion_ci(level, "wilson" and "exact").
TEST(Intervals, OfSharesAreThoseOfScipy) {
  constexpr Case kCases[] = {
      {0, 10, 0.95, {0, 0.27753279986288926}, {0, 0.30849710781876294}},
      {1, 10, 0.95, {0.017876213095072896, 0.4041500267952385}, {0.0025285785444625728, 0.44501611702819543}},
      {5, 10, 0.95, {0.236593090512564, 0.7634069094874361}, {0.1870860284474045, 0.8129139715525955}},
      {81, 263, 0.95, {0.2552885198782742, 0.36620957698280004}, {0.25273674558504267, 0.36762192260134746}},
      {15, 148, 0.95, {0.06238639953073629, 0.16048724172330803}, {0.05784401008344801, 0.16165049034947895}},
      {263, 263, 0.9, {0.9898175122019506, 1}, {0.9886740104532494, 1}},
  };
  for (const Case& c : kCases) {
    const Interval score = wilson(c.hits, c.n, c.level);
    const Interval exact = clopper_pearson(static_cast<double>(c.hits), static_cast<double>(c.n), c.level);
    EXPECT_NEAR(score.low, c.score.low, 1e-12) << c.hits;
    EXPECT_NEAR(score.high, c.score.high, 1e-12) << c.hits;
    EXPECT_NEAR(exact.low, c.exact.low, 1e-11) << c.hits;
    EXPECT_NEAR(exact.high, c.exact.high, 1e-11) << c.hits;
  }
  EXPECT_THROW((void)wilson(3, 2, 0.95), Bug);
}

// scipy 1.17.1: binomtest(min(b, c), b + c, 0.5).pvalue.
TEST(Intervals, McNemarIsExact) {
  EXPECT_NEAR(mcnemar({7, 1, 100}), 0.0703125, 1e-13);
  EXPECT_NEAR(mcnemar({10, 0, 100}), 0.001953125, 1e-13);
  EXPECT_NEAR(mcnemar({12, 20, 100}), 0.21532714972272515, 1e-12);
  EXPECT_EQ(mcnemar({3, 3, 10}), 1);
  EXPECT_EQ(mcnemar({0, 0, 10}), 1);
  EXPECT_NEAR(mcnemar({121, 101, 500}), 0.20213432065995843, 1e-11);
}

// The first is airway hyper-responsiveness before and after a transplantation, -0.517 to -0.026 in Fagerland, Lydersen
// and Laake, Statistics in Medicine 33 (2014). All are from maximising the restricted likelihood with
// scipy.optimize.minimize_scalar and inverting the score with brentq (1.17.1).
TEST(Intervals, PairedDifferencesAreTangos) {
  struct Paired {
    Discordant d;
    double level;
    Interval want;
  };
  constexpr Paired kCases[] = {
      {{1, 7, 21}, 0.95, {-0.5172322772707946, -0.026003033534439092}},
      {{40, 20, 160}, 0.95, {0.03086453249988986, 0.21806424379974185}},
      {{0, 0, 100}, 0.9, {-0.026342720783177658, 0.026342720783177658}},
      {{3, 0, 50}, 0.9, {0.005586823622835477, 0.1409419464606993}},
      {{12, 20, 872}, 0.95, {-0.022967179863134974, 0.0037492584298008417}},
  };
  for (const Paired& c : kCases) {
    const Interval got = paired_difference(c.d, c.level);
    EXPECT_NEAR(got.low, c.want.low, 1e-7) << c.d.gained;
    EXPECT_NEAR(got.high, c.want.high, 1e-7) << c.d.gained;
  }
  EXPECT_DOUBLE_EQ(paired_difference({1, 7, 21}), -6.0 / 21);
  const Interval all = paired_difference({4, 0, 4}, 0.95);  // every item was gained
  EXPECT_EQ(all.high, 1);
  EXPECT_GT(all.low, 0);
}

TEST(Intervals, ClustersThatAgreeAreIndependentItems) {
  const std::vector<int64_t> hits = {5, 5, 5, 5}, sizes = {10, 10, 10, 10};
  const Share even = clustered_share(hits, sizes);
  EXPECT_DOUBLE_EQ(even.value, 0.5);
  EXPECT_DOUBLE_EQ(even.effective, 40);
  EXPECT_NEAR(even.interval(0.95).low, clopper_pearson(20, 40, 0.95).low, 1e-12);
  // All or nothing: as many items as clusters, or nearly.
  const Share apart = clustered_share(std::vector<int64_t>{10, 0, 10, 0, 10, 0}, std::vector<int64_t>(6, 10));
  EXPECT_DOUBLE_EQ(apart.value, 0.5);
  EXPECT_NEAR(apart.effective, 5, 1e-12);
  EXPECT_LT(apart.interval(0.95).low, clopper_pearson(2.5, 5, 0.95).low);
  // Nothing was seen: the interval is that of so many items, not of no width.
  const Share none = clustered_share(std::vector<int64_t>{0, 0, 0}, std::vector<int64_t>{100, 100, 100});
  EXPECT_EQ(none.interval(0.95).low, 0);
  EXPECT_NEAR(none.interval(0.95).high, clopper_pearson(0, 300, 0.95).high, 1e-12);
}

// Shares of items in clusters that share a rate of their own: the interval holds the mean rate as often as it says.
TEST(SlowIntervals, OfClustersHoldTheTruth) {
  runtime::Rng rng(3);
  constexpr int kTrials = 2000, kClusters = 40, kSize = 60;
  int held = 0, naive = 0;
  for (int t = 0; t < kTrials; ++t) {
    std::vector<int64_t> hits(kClusters, 0), sizes(kClusters, kSize);
    int64_t sum = 0;
    for (int64_t& h : hits) {
      const double rate = 0.02 + 0.16 * rng.uniform();  // 0.1 in the mean
      for (int i = 0; i < kSize; ++i) h += rng.uniform() < rate;
      sum += h;
    }
    const Interval ci = clustered_share(hits, sizes).interval(0.95);
    const Interval as_if = wilson(sum, kClusters * kSize, 0.95);
    held += ci.low <= 0.1 && 0.1 <= ci.high;
    naive += as_if.low <= 0.1 && 0.1 <= as_if.high;
  }
  EXPECT_GE(held, 0.94 * kTrials);
  EXPECT_LE(held, 0.98 * kTrials);
  EXPECT_LT(naive, 0.93 * kTrials);  // what tokens taken for independent would say
}

TEST(SlowIntervals, OfPairedDifferencesHoldTheTruth) {
  runtime::Rng rng(5);
  constexpr int kTrials = 4000, kItems = 200;
  int held = 0, above = 0;
  for (int t = 0; t < kTrials; ++t) {
    Discordant d{0, 0, kItems};
    for (int i = 0; i < kItems; ++i) {
      const double u = rng.uniform();
      d.gained += u < 0.02;
      d.lost += u > 0.95;
    }
    const Interval ci = paired_difference(d, 0.95);
    held += ci.low <= -0.03 && -0.03 <= ci.high;
    above += -paired_difference(d, one_sided(0.95)).low >= 0.03;  // the bound of the loss
  }
  EXPECT_GE(held, 0.93 * kTrials);
  EXPECT_LE(held, 0.97 * kTrials);
  EXPECT_GE(above, 0.93 * kTrials);
  EXPECT_LE(above, 0.97 * kTrials);
}

}  // namespace
}  // namespace miao::measure
