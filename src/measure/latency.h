// The latency model: how long one input of n tokens takes, as a function fitted to measurements. All coefficients are
// seconds and at least zero.
//
//   tau(n) = a                            what every pass costs
//          + b n                          arithmetic of the weights
//          + c n^2                        attention
//          + rows (min(n, 4) - 1)         each further token where kernels take them one after another (kFewRows)
//          + few [n > 4]                  leaving those kernels
//          + many [n > 16]                leaving those that take one tile of tokens (kTileRows)
//          + tiles (ceil(n / 16) - 1)     each further tile, full or not
//          + chunks (ceil(n / chunk) - 1) each further chunk of a long prompt
//
// Short inputs climb a staircase, which the first three terms cannot show. Fitted by least squares of relative errors,
// so that short inputs count as much as long ones; a term stays only where it lowers the Bayesian information
// criterion.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace miao::measure {

// Measurements of one length.
struct LatencyPoint {
  int64_t length = 0;  // tokens
  double seconds = 0;  // mean
  double fastest = 0, slowest = 0;
};

enum LatencyTerm { kPass, kToken, kSquare, kRows, kFew, kMany, kTiles, kChunks, kLatencyTerms };

struct LatencyModel {
  std::array<double, kLatencyTerms> seconds = {};
  int64_t chunk = 0;  // 0: no term of chunks

  double operator()(int64_t length) const;
  // "2.65 + 0.106 n + 1.8 (ceil(n / 16) - 1)", in milliseconds, without the terms that are zero.
  std::string formula() const;
};
const char* name(LatencyTerm term);  // "pass", "token", ...

// How far a model is from the points that it was fitted to. Relative errors are fractions of the measured time.
struct FitError {
  double r2 = 0;  // of seconds
  double mean = 0, largest = 0;
  int64_t largest_at = 0;  // tokens
  double left_out = 0;     // mean over the points, each against a fit without it: what other lengths may expect
};

// Errors: invalid for fewer than two different lengths, or times that are not positive.
Result<LatencyModel> fit_latency(std::span<const LatencyPoint> points, int64_t chunk = 0);
FitError fit_error(const LatencyModel& model, std::span<const LatencyPoint> points);

// Lengths that tell the terms apart, from `low` to `high`: the ends, both sides of steps, and some between by ratio.
std::vector<int64_t> telling_lengths(int64_t low, int64_t high, int64_t chunk);

}  // namespace miao::measure
