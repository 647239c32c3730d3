// Non-negative least squares over four columns: every subset of columns is solved without bounds, and the best of those
// that came out non-negative is the answer (exact, 15 small systems).
#include "measure/latency.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "base/check.h"

namespace miao::measure {

namespace {

constexpr int kTerms = 4;
using Terms = std::array<double, kTerms>;

Terms terms(int64_t length, int64_t chunk) {
  const double n = static_cast<double>(length);
  const double chunks = chunk > 0 ? static_cast<double>((length + chunk - 1) / chunk - 1) : 0;
  return {1, n, n * n, chunks};
}

// Solves the normal equations of the chosen columns by Cholesky; nullopt when they depend on one another.
std::optional<Terms> solve(const std::array<Terms, kTerms>& gram, const Terms& right, unsigned subset) {
  std::array<int, kTerms> columns;
  int n = 0;
  for (int i = 0; i < kTerms; ++i) {
    if (subset >> i & 1) columns[static_cast<size_t>(n++)] = i;
  }
  double l[kTerms][kTerms] = {}, y[kTerms] = {};
  for (int i = 0; i < n; ++i) {
    const auto ci = static_cast<size_t>(columns[static_cast<size_t>(i)]);
    for (int j = 0; j <= i; ++j) {
      double sum = gram[ci][static_cast<size_t>(columns[static_cast<size_t>(j)])];
      for (int k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
      if (i == j) {
        if (sum < 1e-10) return std::nullopt;  // columns have norm 1
        l[i][i] = std::sqrt(sum);
      } else {
        l[i][j] = sum / l[j][j];
      }
    }
    y[i] = right[ci];
    for (int k = 0; k < i; ++k) y[i] -= l[i][k] * y[k];
    y[i] /= l[i][i];
  }
  Terms out = {};
  for (int i = n - 1; i >= 0; --i) {
    double x = y[i];
    for (int k = i + 1; k < n; ++k) x -= l[k][i] * out[static_cast<size_t>(columns[static_cast<size_t>(k)])];
    out[static_cast<size_t>(columns[static_cast<size_t>(i)])] = x / l[i][i];
  }
  return out;
}

Error bad(std::string_view text, std::string message) {
  return Error{Code::invalid, std::move(message), "lengths '" + std::string(text) + "'"};
}

std::optional<int64_t> whole(std::string_view text) {
  int64_t out = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

}  // namespace

double LatencyModel::operator()(int64_t length) const {
  const Terms t = terms(length, chunk);
  return a * t[0] + b * t[1] + c * t[2] + d * t[3];
}

Result<LatencyModel> fit_latency(std::span<const LatencySample> samples, int64_t chunk) {
  const auto different = [&] {
    return std::any_of(samples.begin(), samples.end(), [&](const auto& s) { return s.length != samples[0].length; });
  };
  if (samples.empty() || !different()) {
    return Error{Code::invalid, "a latency model needs measurements of two different lengths at least", "latency"};
  }
  // Rows are divided by the measured time (relative errors), columns scaled to norm 1.
  Terms norm = {};
  for (const LatencySample& s : samples) {
    if (!(s.seconds > 0) || s.length < 1) return Error{Code::invalid, "a measured time is not positive", "latency"};
    const Terms t = terms(s.length, chunk);
    for (size_t i = 0; i < kTerms; ++i) norm[i] += t[i] * t[i] / (s.seconds * s.seconds);
  }
  for (double& x : norm) x = x > 0 ? std::sqrt(x) : 1;
  std::array<Terms, kTerms> gram = {};
  Terms right = {};
  for (const LatencySample& s : samples) {
    Terms t = terms(s.length, chunk);
    for (size_t i = 0; i < kTerms; ++i) t[i] /= s.seconds * norm[i];
    for (size_t i = 0; i < kTerms; ++i) {
      for (size_t j = 0; j < kTerms; ++j) gram[i][j] += t[i] * t[j];
      right[i] += t[i];
    }
  }
  double best_error = 0;
  std::optional<Terms> best;
  for (unsigned subset = 1; subset < 1u << kTerms; ++subset) {
    const auto x = solve(gram, right, subset);
    if (!x || std::any_of(x->begin(), x->end(), [](double v) { return v < 0; })) continue;
    double error = 0;  // |A x - 1|^2 without the constant term
    for (size_t i = 0; i < kTerms; ++i) {
      error -= 2 * (*x)[i] * right[i];
      for (size_t j = 0; j < kTerms; ++j) error += (*x)[i] * (*x)[j] * gram[i][j];
    }
    if (!best || error < best_error) {
      best = x;
      best_error = error;
    }
  }
  MIAO_CHECK(best.has_value());  // one column alone always gives a positive answer
  LatencyModel out;
  out.chunk = chunk;
  out.a = (*best)[0] / norm[0];
  out.b = (*best)[1] / norm[1];
  out.c = (*best)[2] / norm[2];
  out.d = (*best)[3] / norm[3];
  double sum = 0, residual = 0, total = 0;
  for (const LatencySample& s : samples) sum += s.seconds;
  const double mean = sum / static_cast<double>(samples.size());
  for (const LatencySample& s : samples) {
    const double error = out(s.length) - s.seconds;
    residual += error * error;
    total += (s.seconds - mean) * (s.seconds - mean);
    out.mape += std::abs(error) / s.seconds / static_cast<double>(samples.size());
  }
  out.r2 = total > 0 ? 1 - residual / total : 0;
  return out;
}

LengthDistribution::LengthDistribution(std::string name, std::vector<int64_t> lengths, std::vector<double> p)
    : name_(std::move(name)), lengths_(std::move(lengths)), p_(std::move(p)) {}

Result<LengthDistribution> LengthDistribution::parse(std::string_view text, int64_t max) {
  if (text.starts_with("uniform:")) {
    const std::string_view rest = text.substr(8);
    const size_t colon = rest.find(':');
    const auto low = whole(rest.substr(0, colon));
    const auto high = colon == std::string_view::npos ? std::nullopt : whole(rest.substr(colon + 1));
    if (!low || !high || *low < 1 || *high < *low) return bad(text, "write uniform:A:B with 1 <= A <= B");
    if (*high > max) return bad(text, "the longest input allowed is " + std::to_string(max) + " tokens");
    std::vector<int64_t> lengths;
    for (int64_t n = *low; n <= *high; ++n) lengths.push_back(n);
    std::vector<double> p(lengths.size(), 1.0 / static_cast<double>(lengths.size()));
    return LengthDistribution(std::string(text), std::move(lengths), std::move(p));
  }
  if (text.starts_with("poisson:")) {
    const auto mean = whole(text.substr(8));
    if (!mean || *mean < 1) return bad(text, "write poisson:L with L >= 1");
    if (*mean > max) return bad(text, "the longest input allowed is " + std::to_string(max) + " tokens");
    // Beyond ten deviations the probabilities are below 1e-20.
    const double lambda = static_cast<double>(*mean), reach = 10 * std::sqrt(lambda) + 10;
    const int64_t last = static_cast<int64_t>(lambda + reach);
    std::map<int64_t, double> p;
    double total = 0;
    for (int64_t n = std::max<int64_t>(0, static_cast<int64_t>(lambda - reach)); n <= last; ++n) {
      const double k = static_cast<double>(n);
      const double q = std::exp(k * std::log(lambda) - lambda - std::lgamma(k + 1));
      p[std::clamp<int64_t>(n, 1, max)] += q;
      total += q;
    }
    std::vector<int64_t> lengths;
    std::vector<double> weights;
    for (const auto& [n, q] : p) {
      lengths.push_back(n);
      weights.push_back(q / total);
    }
    return LengthDistribution(std::string(text), std::move(lengths), std::move(weights));
  }
  return bad(text, "write uniform:A:B, poisson:L or file:PATH");
}

Result<LengthDistribution> LengthDistribution::of(std::vector<int64_t> lengths, int64_t max, std::string name) {
  if (lengths.empty()) return bad(name, "there are no inputs");
  std::map<int64_t, int64_t> counts;
  for (int64_t n : lengths) {
    if (n < 1 || n > max) {
      return bad(name, "an input has " + std::to_string(n) + " tokens; 1 to " + std::to_string(max) + " are allowed");
    }
    ++counts[n];
  }
  std::vector<int64_t> different;
  std::vector<double> p;
  for (const auto& [n, count] : counts) {
    different.push_back(n);
    p.push_back(static_cast<double>(count) / static_cast<double>(lengths.size()));
  }
  return LengthDistribution(std::move(name), std::move(different), std::move(p));
}

double LengthDistribution::mean() const {
  double sum = 0;
  for (size_t i = 0; i < p_.size(); ++i) sum += p_[i] * static_cast<double>(lengths_[i]);
  return sum;
}

double LengthDistribution::expected(const LatencyModel& tau) const {
  double sum = 0;
  for (size_t i = 0; i < p_.size(); ++i) sum += p_[i] * tau(lengths_[i]);
  return sum;
}

int64_t LengthDistribution::draw(runtime::Rng& rng) const {
  const double u = rng.uniform();
  double sum = 0;
  for (size_t i = 0; i < p_.size(); ++i) {
    sum += p_[i];
    if (u < sum) return lengths_[i];
  }
  return lengths_.back();
}

}  // namespace miao::measure
