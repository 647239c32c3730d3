// Lengths of the inputs of a workload, as a distribution over whole numbers of tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/rng.h"

namespace miao::measure {

class LengthDistribution {
 public:
  // "uniform:A:B" (A .. B, both included) or "poisson:L" (mean L; 0 counts as 1). "file:PATH" is not parsed here: the
  // caller tokenises the lines and uses of(). Lengths reach `max` at most: Errors (invalid) name what does not fit.
  static Result<LengthDistribution> parse(std::string_view text, int64_t max);
  // Every given length equally likely. Errors: invalid when empty or when one is not in 1 .. max.
  static Result<LengthDistribution> of(std::vector<int64_t> lengths, int64_t max, std::string name);

  const std::string& name() const { return name_; }
  int64_t min() const { return lengths_.front(); }
  int64_t max() const { return lengths_.back(); }
  std::span<const int64_t> lengths() const { return lengths_; }  // ascending, different
  std::span<const double> probabilities() const { return p_; }   // of lengths(); their sum is 1
  double mean() const;
  double expected(const std::function<double(int64_t)>& value) const;  // E[value(n)], exact over the distribution
  int64_t quantile(double u) const;                                    // the least n with P(length <= n) > u
  // `count` lengths, ascending: one drawn from each of `count` equally likely slices of the distribution. Their mean
  // deviates far less from the expectation than that of independent draws, and as little in one direction as in the
  // other.
  std::vector<int64_t> stratified(int64_t count, runtime::Rng& rng) const;

 private:
  LengthDistribution(std::string name, std::vector<int64_t> lengths, std::vector<double> p);
  std::string name_;
  std::vector<int64_t> lengths_;
  std::vector<double> p_;
};

}  // namespace miao::measure
