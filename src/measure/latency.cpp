// Non-negative least squares over a few columns: every subset of columns is solved without bounds, and the best of
// those that came out non-negative is the answer (exact, 255 small systems).
#include "measure/latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/check.h"
#include "kernels/table.h"

namespace miao::measure {

namespace {

using kernels::kFewRows;
using kernels::kTileRows;

constexpr size_t kTerms = kLatencyTerms;
using Terms = std::array<double, kTerms>;

double further(int64_t length, int64_t unit) { return static_cast<double>((length + unit - 1) / unit - 1); }

Terms terms(int64_t length, int64_t chunk) {
  const double n = static_cast<double>(length);
  return {1,
          n,
          n * n,
          std::min(n, static_cast<double>(kFewRows)) - 1,
          length > kFewRows ? 1.0 : 0.0,
          length > kTileRows ? 1.0 : 0.0,
          further(length, kTileRows),
          chunk > 0 ? further(length, chunk) : 0};
}

// The normal equations: rows divided by the expected time (relative errors), columns scaled to norm 1.
struct Equations {
  std::array<Terms, kTerms> gram = {};
  Terms right = {}, norm = {};
  double points = 0, square = 0;
  unsigned constant = 0;  // columns beside the first that are: where all inputs are long, some steps are behind them

  Equations(std::span<const LatencyPoint> samples, std::span<const double> expected, int64_t chunk)
      : points(static_cast<double>(samples.size())) {
    for (size_t k = 0; k < samples.size(); ++k) {
      const Terms t = terms(samples[k].length, chunk);
      const double weight = 1 / (expected[k] * expected[k]), seconds = samples[k].seconds;
      square += weight * seconds * seconds;
      for (size_t i = 0; i < kTerms; ++i) {
        right[i] += weight * t[i] * seconds;
        for (size_t j = 0; j < kTerms; ++j) gram[i][j] += weight * t[i] * t[j];
      }
    }
    const Terms first = terms(samples[0].length, chunk);
    for (size_t i = 1; i < kTerms; ++i) {
      const auto same = [&](const LatencyPoint& p) { return terms(p.length, chunk)[i] == first[i]; };
      if (std::all_of(samples.begin(), samples.end(), same)) constant |= 1u << i;
    }
    for (size_t i = 0; i < kTerms; ++i) norm[i] = gram[i][i] > 0 ? std::sqrt(gram[i][i]) : 1;
    for (size_t i = 0; i < kTerms; ++i) {
      right[i] /= norm[i];
      for (size_t j = 0; j < kTerms; ++j) gram[i][j] /= norm[i] * norm[j];
    }
  }

  // Solves for the chosen columns by Cholesky; nullopt when they depend on one another.
  std::optional<Terms> solve(unsigned subset) const {
    std::array<size_t, kTerms> columns;
    size_t n = 0;
    for (size_t i = 0; i < kTerms; ++i) {
      if (subset >> i & 1) columns[n++] = i;
    }
    double l[kTerms][kTerms] = {}, y[kTerms] = {};
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        double sum = gram[columns[i]][columns[j]];
        for (size_t k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
        if (i == j && sum < 1e-10) return std::nullopt;
        l[i][j] = i == j ? std::sqrt(sum) : sum / l[j][j];
      }
      y[i] = right[columns[i]];
      for (size_t k = 0; k < i; ++k) y[i] -= l[i][k] * y[k];
      y[i] /= l[i][i];
    }
    Terms out = {};
    for (size_t i = n; i-- > 0;) {
      double x = y[i];
      for (size_t k = i + 1; k < n; ++k) x -= l[k][i] * out[columns[k]];
      out[columns[i]] = x / l[i][i];
    }
    return out;
  }

  // Of all subsets of columns that came out non-negative.
  Terms best() const {
    std::optional<Terms> out;
    double least = 0;
    for (unsigned subset = 1; subset < 1u << kTerms; ++subset) {
      if (subset & constant) continue;
      const auto x = solve(subset);
      if (!x || std::any_of(x->begin(), x->end(), [](double v) { return v < 0; })) continue;
      const double value = criterion(*x);
      if (out && value >= least) continue;
      out = x;
      least = value;
    }
    MIAO_CHECK(out.has_value());  // one column alone always gives a positive answer
    return *out;
  }

  // Bayesian information criterion. Below a relative error of 1e-6 fits are equally good: rounding decides there.
  double criterion(const Terms& x) const {
    double error = square;  // |A x - b|^2
    int used = 0;
    for (size_t i = 0; i < kTerms; ++i) {
      used += x[i] > 0;
      error -= 2 * x[i] * right[i];
      for (size_t j = 0; j < kTerms; ++j) error += x[i] * x[j] * gram[i][j];
    }
    return points * std::log(std::max(error / square, 1e-12)) + used * std::log(points);
  }
};

}  // namespace

const char* name(LatencyTerm term) {
  constexpr const char* kNames[] = {"pass", "token", "square", "rows", "few", "many", "tiles", "chunks"};
  return kNames[term];
}

double LatencyModel::operator()(int64_t length) const {
  const Terms t = terms(length, chunk);
  double sum = 0;
  for (size_t i = 0; i < kTerms; ++i) sum += seconds[i] * t[i];
  return sum;
}

std::string LatencyModel::formula() const {
  const std::string factors[] = {"",
                                 " n",
                                 " n^2",
                                 fmt::format(" (min(n, {}) - 1)", kFewRows),
                                 fmt::format(" [n > {}]", kFewRows),
                                 fmt::format(" [n > {}]", kTileRows),
                                 fmt::format(" (ceil(n / {}) - 1)", kTileRows),
                                 fmt::format(" (ceil(n / {}) - 1)", chunk)};
  std::string out;
  for (size_t i = 0; i < kTerms; ++i) {
    if (seconds[i] > 0) out += fmt::format("{}{:.3g}{}", out.empty() ? "" : " + ", 1e3 * seconds[i], factors[i]);
  }
  return out;
}

Result<LatencyModel> fit_latency(std::span<const LatencyPoint> points, int64_t chunk) {
  const auto differs = [&](const LatencyPoint& p) { return p.length != points[0].length; };
  if (std::none_of(points.begin(), points.end(), differs))
    return Error{Code::invalid, "a latency model needs measurements of two different lengths at least", "latency"};
  const auto impossible = [](const LatencyPoint& p) { return !(p.seconds > 0) || p.length < 1; };
  if (std::any_of(points.begin(), points.end(), impossible))
    return Error{Code::invalid, "a measured time is not positive", "latency"};
  // Errors are relative to the fit of the round before, which begins flat. Relative to the measurements, those that
  // came out short by chance would weigh more, and the fit of a noisy machine would be far too low.
  LatencyModel out{.chunk = chunk};
  std::vector<double> expected(points.size(), 1);
  const double shortest = std::min_element(points.begin(), points.end(), [](const auto& a, const auto& b) {
                            return a.seconds < b.seconds;
                          })->seconds;
  constexpr int kRounds = 3;
  for (int round = 0; round < kRounds; ++round) {
    const Equations equations(points, expected, chunk);
    const Terms best = equations.best();
    for (size_t i = 0; i < kTerms; ++i) out.seconds[i] = best[i] / equations.norm[i];
    for (size_t i = 0; i < points.size(); ++i)  // a fit may be zero at one end
      expected[i] = std::max(out(points[i].length), 0.1 * shortest);
  }
  return out;
}

FitError fit_error(const LatencyModel& model, std::span<const LatencyPoint> points) {
  FitError out;
  const double count = static_cast<double>(points.size());
  double sum = 0, residual = 0, total = 0, left_out = 0;
  for (const LatencyPoint& p : points) sum += p.seconds;
  for (size_t i = 0; i < points.size(); ++i) {
    const LatencyPoint& p = points[i];
    const double error = model(p.length) - p.seconds, relative = std::abs(error) / p.seconds;
    residual += error * error;
    total += (p.seconds - sum / count) * (p.seconds - sum / count);
    out.mean += relative / count;
    if (relative > out.largest) out.largest = relative, out.largest_at = p.length;
    std::vector<LatencyPoint> others(points.begin(), points.end());
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    if (const auto fit = fit_latency(others, model.chunk); fit.ok()) {
      out.left_out += std::abs((*fit)(p.length) - p.seconds) / p.seconds;
      ++left_out;
    }
  }
  out.r2 = total > 0 ? 1 - residual / total : 0;
  if (left_out > 0) out.left_out /= left_out;
  return out;
}

std::vector<int64_t> telling_lengths(int64_t low, int64_t high, int64_t chunk) {
  std::set<int64_t> all{low, high};
  const auto add = [&](int64_t n) {
    if (n > low && n < high) all.insert(n);
  };
  const auto step = [&](int64_t last) { add(last), add(last + 1); };
  step(kFewRows);
  step(kTileRows);
  if (chunk > 0) step(chunk), step(2 * chunk);
  constexpr int kParts = 9;
  const double ratio = static_cast<double>(high) / static_cast<double>(low);
  for (int i = 1; i < kParts; ++i) {
    const auto n = std::llround(static_cast<double>(low) * std::pow(ratio, static_cast<double>(i) / kParts));
    if (n <= kTileRows) {
      add(n);
    } else {
      step((n + kTileRows / 2) / kTileRows * kTileRows);
    }
  }
  return {all.begin(), all.end()};
}

}  // namespace miao::measure
