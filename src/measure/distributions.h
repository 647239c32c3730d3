// Distribution functions that intervals need, and their inverses. Accurate to about 1e-13; fast enough for some
// thousand calls, not for millions.
#pragma once

namespace miao::measure {

double normal_cdf(double z);
double normal_quantile(double p);  // 0 < p < 1
// The regularised incomplete beta function: P(X <= x) of Beta(a, b); 0 < a, b.
double beta_cdf(double a, double b, double x);
double beta_quantile(double a, double b, double p);
double student_quantile(double p, double freedom);  // 0 < p < 1

}  // namespace miao::measure
