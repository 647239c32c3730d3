#include "measure/intervals.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "measure/distributions.h"

namespace miao::measure {

Interval wilson(int64_t hits, int64_t n, double level) {
  MIAO_CHECK(n >= 1 && hits >= 0 && hits <= n && level > 0 && level < 1);
  const double z = normal_quantile((1 + level) / 2), z2 = z * z;
  const auto size = static_cast<double>(n);
  const double p = static_cast<double>(hits) / size;
  const double centre = p + z2 / (2 * size), half = z * std::sqrt(p * (1 - p) / size + z2 / (4 * size * size));
  const double all = 1 + z2 / size;
  return {hits == 0 ? 0 : (centre - half) / all, hits == n ? 1 : (centre + half) / all};
}

Interval clopper_pearson(double hits, double n, double level) {
  MIAO_CHECK(n > 0 && hits >= 0 && hits <= n && level > 0 && level < 1);
  const double tail = (1 - level) / 2;
  return {hits <= 0 ? 0 : beta_quantile(hits, n - hits + 1, tail),
          hits >= n ? 1 : beta_quantile(hits + 1, n - hits, 1 - tail)};
}

Share clustered_share(std::span<const int64_t> hits, std::span<const int64_t> sizes) {
  MIAO_CHECK(hits.size() == sizes.size() && hits.size() >= 2);
  Share out;
  out.clusters = static_cast<int64_t>(hits.size());
  for (size_t i = 0; i < hits.size(); ++i) {
    out.hits += static_cast<double>(hits[i]);
    out.n += static_cast<double>(sizes[i]);
  }
  MIAO_CHECK(out.n > 0);
  out.value = out.hits / out.n;
  double variance = 0;
  for (size_t i = 0; i < hits.size(); ++i) {
    const double apart = static_cast<double>(hits[i]) - out.value * static_cast<double>(sizes[i]);
    variance += apart * apart;
  }
  const auto clusters = static_cast<double>(out.clusters);
  variance *= clusters / (clusters - 1) / (out.n * out.n);
  out.effective = variance > 0 ? std::min(out.n, out.value * (1 - out.value) / variance) : out.n;
  return out;
}

Interval Share::interval(double level) const {
  const double p = (1 + level) / 2;
  const double narrow = student_quantile(p, std::max(1.0, n - 1));
  const double wide = student_quantile(p, static_cast<double>(clusters - 1));
  // Where no cluster differs from another there is nothing that the number of clusters would make uncertain.
  const double size = effective < n ? effective * (narrow / wide) * (narrow / wide) : effective;
  return clopper_pearson(value * size, size, level);
}

double mcnemar(const Discordant& d) {
  MIAO_CHECK(d.gained >= 0 && d.lost >= 0);
  const int64_t all = d.gained + d.lost, less = std::min(d.gained, d.lost);
  if (all == 0) return 1;
  // P(X <= less) of Binomial(all, 1/2)
  const double tail = beta_cdf(static_cast<double>(all - less), static_cast<double>(less + 1), 0.5);
  return std::min(1.0, 2 * tail);
}

double paired_difference(const Discordant& d) {
  MIAO_CHECK(d.n >= 1 && d.gained >= 0 && d.lost >= 0 && d.gained + d.lost <= d.n);
  return static_cast<double>(d.gained - d.lost) / static_cast<double>(d.n);
}

namespace {

// How many standard deviations the observed difference is above `difference`, where that is the truth. Falls.
double tango_score(const Discordant& d, double difference) {
  const auto n = static_cast<double>(d.n), b = static_cast<double>(d.gained), c = static_cast<double>(d.lost);
  const double linear = -b - c + (2 * n - b + c) * difference, constant = -c * difference * (1 - difference);
  const double root = std::sqrt(std::max(0.0, linear * linear - 8 * n * constant));
  const double lost = std::max(0.0, (root - linear) / (4 * n));  // its likeliest probability under the restriction
  const double variance = n * (2 * lost + difference * (1 - difference));
  const double above = b - c - n * difference;
  if (variance <= 0) return above == 0 ? 0 : std::copysign(INFINITY, above);
  return above / std::sqrt(variance);
}

double tango_bound(const Discordant& d, double score) {
  double low = -1, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (tango_score(d, middle) > score ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

Interval paired_difference(const Discordant& d, double level) {
  const double value = paired_difference(d), z = normal_quantile((1 + level) / 2);
  return {std::min(value, tango_bound(d, z)), std::max(value, tango_bound(d, -z))};
}

}  // namespace miao::measure
