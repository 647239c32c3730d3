#include "measure/distributions.h"

#include <cmath>

#include "base/check.h"

namespace miao::measure {

namespace {

// The x within low .. high at which a rising function reaches `target`, to the last bit that halving can tell.
template <class F>
double bisect(double low, double high, double target, F f) {
  for (int i = 0; i < 200; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) break;
    (f(middle) < target ? low : high) = middle;
  }
  return low + (high - low) / 2;
}

// The continued fraction of the incomplete beta function by Lentz's method (DLMF 8.17.22); converges fast for
// x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300, kEnough = 1e-15;
  const auto away = [](double v) { return std::fabs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), out = d;
  for (int m = 1; m < 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    out *= c * d;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    out *= c * d;
    if (std::fabs(c * d - 1) < kEnough) break;
  }
  return out;
}

}  // namespace

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

double normal_quantile(double p) {
  MIAO_CHECK(p > 0 && p < 1);
  if (p > 0.5) return -normal_quantile(1 - p);  // the tail below keeps its digits
  return bisect(-40, 0, p, normal_cdf);
}

double beta_cdf(double a, double b, double x) {
  MIAO_CHECK(a > 0 && b > 0);
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double beta_quantile(double a, double b, double p) {
  MIAO_CHECK(p >= 0 && p <= 1);
  return bisect(0, 1, p, [&](double x) { return beta_cdf(a, b, x); });
}

double student_quantile(double p, double freedom) {
  MIAO_CHECK(p > 0 && p < 1 && freedom > 0);
  if (p < 0.5) return -student_quantile(1 - p, freedom);
  if (p == 0.5) return 0;
  const double x = beta_quantile(freedom / 2, 0.5, 2 * (1 - p));
  return std::sqrt(freedom * (1 - x) / x);
}

}  // namespace miao::measure
