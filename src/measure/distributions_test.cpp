#include "measure/distributions.h"

#include <gtest/gtest.h>

namespace miao::measure {
namespace {

// Values of scipy.stats 1.17.1: norm.ppf, t.ppf, beta.cdf.
TEST(Distributions, AreThoseOfScipy) {
  EXPECT_NEAR(normal_quantile(1e-12), -7.034483825301131, 1e-11);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232306167813, 1e-13);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-13);
  EXPECT_NEAR(normal_quantile(0.3), -0.5244005127080409, 1e-13);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-13);
  EXPECT_NEAR(normal_cdf(1.959963984540054), 0.975, 1e-15);
  EXPECT_NEAR(student_quantile(0.975, 1), 12.706204736174694, 1e-9);
  EXPECT_NEAR(student_quantile(0.975, 7), 2.364624251592784, 1e-11);
  EXPECT_NEAR(student_quantile(0.95, 29), 1.6991270265334972, 1e-11);
  EXPECT_NEAR(student_quantile(0.3, 5), -0.5594296444693604, 1e-11);
  EXPECT_NEAR(student_quantile(0.995, 1000), 2.580754698065951, 1e-10);
  EXPECT_EQ(student_quantile(0.5, 3), 0);
  EXPECT_NEAR(beta_cdf(0.5, 0.5, 0.3), 0.36901011956554536, 1e-14);
  EXPECT_NEAR(beta_cdf(2, 3, 0.5), 0.6875, 1e-14);
  EXPECT_NEAR(beta_cdf(30, 70, 0.35), 0.8615754758661092, 1e-13);
  EXPECT_NEAR(beta_cdf(1, 1000, 0.001), 0.6323045752290359, 1e-13);
  EXPECT_NEAR(beta_cdf(5000, 5000, 0.505), 0.8413447463710366, 1e-11);
  EXPECT_EQ(beta_cdf(2, 2, -1), 0);
  EXPECT_EQ(beta_cdf(2, 2, 1), 1);
}

TEST(Distributions, QuantilesUndoTheDistribution) {
  for (const double p : {1e-6, 0.025, 0.5, 0.9, 0.999}) {
    EXPECT_NEAR(normal_cdf(normal_quantile(p)), p, 1e-13);
    for (const double a : {0.7, 4.0, 300.0}) EXPECT_NEAR(beta_cdf(a, 9, beta_quantile(a, 9, p)), p, 1e-12) << a;
  }
}

}  // namespace
}  // namespace miao::measure
