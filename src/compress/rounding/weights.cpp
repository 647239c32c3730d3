#include "compress/rounding/weights.h"

#include <cfloat>
#include <cmath>
#include <string>

#include "compress/rounding/lanes.h"

namespace miao::compress {

namespace {

constexpr float kFloor = 1e-6f;  // of the mean: below what can decide anything where other columns are alive

void plain_weights(const Family& f, const float* x, float* w) {
  if (f.plain == Plain::square) {
    for (int i = 0; i < f.block; ++i) w[i] = x[i] * x[i];
    return;
  }
  for (int g = 0; g < f.block; g += f.group) {
    const float rms = std::sqrt(mean_square({x + g, static_cast<size_t>(f.group)}));
    for (int i = g; i < g + f.group; ++i) w[i] = rms + std::fabs(x[i]);
  }
}

float variance(const Family& f, const float* x, float row_mean_square) {
  if (f.spread == Spread::row) return row_mean_square;
  const float mean = mean_square({x, static_cast<size_t>(f.block)});
  return f.spread == Spread::twice_block ? 2 * mean : mean;
}

}  // namespace

Result<std::vector<float>> usable_importance(std::span<const float> importance, int64_t cols) {
  if (static_cast<int64_t>(importance.size()) != cols) {
    return Error{Code::invalid,
                 "importance has " + std::to_string(importance.size()) + " columns, the weight has " +
                     std::to_string(cols) + ": collect it with this model",
                 ""};
  }
  double total = 0;
  for (size_t i = 0; i < importance.size(); ++i) {
    if (!(importance[i] >= 0 && importance[i] <= FLT_MAX)) {
      return Error{Code::invalid,
                   "the importance of column " + std::to_string(i) + " is " + std::to_string(importance[i]) +
                       ": a mean square is finite and not negative",
                   ""};
    }
    total += importance[i];
  }
  if (total == 0) return std::vector<float>();
  const double scale = static_cast<double>(cols) / total;
  std::vector<float> out(importance.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::fmax(static_cast<float>(importance[i] * scale), kFloor);
  return out;
}

float mean_square(std::span<const float> x) {
  Vec squares = splat(0);
  for (size_t i = 0; i < x.size(); i += 16) squares = squares + load(&x[i]) * load(&x[i]);
  return sum(squares) / static_cast<float>(x.size());
}

void block_weights(const Family& f, const float* x, const float* importance, float row_mean_square, float* w) {
  if (!importance) {
    plain_weights(f, x, w);
  } else if (f.spread == Spread::none) {
    for (int i = 0; i < f.block; ++i) w[i] = importance[i];
  } else {
    const float sigma2 = variance(f, x, row_mean_square);
    for (int i = 0; i < f.block; ++i) w[i] = importance[i] * std::sqrt(sigma2 + x[i] * x[i]);
  }
  float largest = 0;
  for (int i = 0; i < f.block; ++i) largest = greater(largest, w[i]);
  // Squares of values near the ends of the float range are 0 or infinite: all count alike then.
  const bool usable = largest >= FLT_MIN && largest <= FLT_MAX;
  for (int i = 0; i < f.block; ++i) w[i] = usable ? w[i] / largest : 1;
}

}  // namespace miao::compress
