// The latency model: how long one input of n tokens takes, as a function fitted to measurements, and what that gives
// for a workload whose lengths follow a distribution.
//
//   tau(n) = a + b n + c n^2 + d (ceil(n / chunk) - 1)        all coefficients >= 0, seconds
//     a: what every pass costs, b: weights' arithmetic, c: attention, d: what each further chunk of a prompt costs
// Fitted by least squares of relative errors, so that short inputs count as much as long ones.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/rng.h"

namespace miao::measure {

struct LatencySample {
  int64_t length = 0;  // tokens
  double seconds = 0;
};

struct LatencyModel {
  double a = 0, b = 0, c = 0, d = 0;
  int64_t chunk = 0;  // 0: no d term
  double r2 = 0;      // of seconds, plain
  double mape = 0;    // mean |error| / measured, as a fraction

  double operator()(int64_t length) const;
};

// Errors: invalid for fewer than two different lengths, or times that are not positive.
Result<LatencyModel> fit_latency(std::span<const LatencySample> samples, int64_t chunk = 0);

// Lengths of the inputs of a workload.
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
  double mean() const;
  double expected(const LatencyModel& tau) const;  // E[tau(n)], exact over the distribution
  int64_t draw(runtime::Rng& rng) const;

 private:
  LengthDistribution(std::string name, std::vector<int64_t> lengths, std::vector<double> p);
  std::string name_;
  std::vector<int64_t> lengths_;  // ascending, different
  std::vector<double> p_;         // sum 1
};

}  // namespace miao::measure
