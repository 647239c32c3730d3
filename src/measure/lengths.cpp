#include "measure/lengths.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

namespace miao::measure {

namespace {

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

double LengthDistribution::expected(const std::function<double(int64_t)>& value) const {
  double sum = 0;
  for (size_t i = 0; i < p_.size(); ++i) sum += p_[i] * value(lengths_[i]);
  return sum;
}

int64_t LengthDistribution::quantile(double u) const {
  double sum = 0;
  for (size_t i = 0; i < p_.size(); ++i) {
    sum += p_[i];
    if (u < sum) return lengths_[i];
  }
  return lengths_.back();
}

std::vector<int64_t> LengthDistribution::stratified(int64_t count, runtime::Rng& rng) const {
  std::vector<int64_t> out;
  double below = 0;  // probability of the lengths before lengths_[at]
  for (size_t i = 0, at = 0; i < static_cast<size_t>(count); ++i) {
    const double u = (static_cast<double>(i) + rng.uniform()) / static_cast<double>(count);
    while (at + 1 < p_.size() && below + p_[at] <= u) below += p_[at++];
    out.push_back(lengths_[at]);
  }
  return out;
}

}  // namespace miao::measure
