#include "compress/rounding/weights.h"

#include <cfloat>
#include <cmath>
#include <string>
#include <utility>

#include "compress/rounding/lanes.h"

namespace miao::compress {

namespace {

constexpr float kFloor = 1e-6f;  // of the mean: below what can decide anything where other columns are alive

void plain_weights(const Family& f, const float* x, float* w) {
  for (int g = 0; g < f.block; g += f.group) {
    const float spread = 4 * mean_square({x + g, static_cast<size_t>(f.group)});
    for (int i = g; i < g + f.group; ++i) w[i] = std::sqrt(spread + x[i] * x[i]);
  }
}

// One value after the other, as llama.cpp sums them.
float mean_square_in_order(std::span<const float> x) {
  float sum = 0;
  for (const float v : x) sum += v * v;
  return sum / static_cast<float>(x.size());
}

}  // namespace

Result<Importance> usable_importance(std::span<const float> importance, int64_t cols) {
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
  if (total == 0) return Importance{importance, {}};
  const double scale = static_cast<double>(cols) / total;
  std::vector<float> out(importance.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = std::fmax(static_cast<float>(importance[i] * scale), kFloor);
  return Importance{importance, std::move(out)};
}

float mean_square(std::span<const float> x) {
  Vec squares = splat(0);
  for (size_t i = 0; i < x.size(); i += 16) squares = squares + load(&x[i]) * load(&x[i]);
  return sum(squares) / static_cast<float>(x.size());
}

RowWeights::RowWeights(const Family& f, std::span<const float> row, const Importance& importance)
    : f_(f), row_(row), importance_(importance) {
  if (!importance.empty() && f.spread == Spread::row) row_mean_square_ = mean_square_in_order(row);
}

void RowWeights::block(size_t first, float* w, float* theirs) const {
  const auto n = static_cast<size_t>(f_.block);
  const float* const x = &row_[first];
  if (importance_.empty()) {
    plain_weights(f_, x, w);
  } else {
    const bool own = f_.spread == Spread::block || f_.spread == Spread::twice_block;
    const float mean = own ? mean_square_in_order(row_.subspan(first, n)) : row_mean_square_;
    const float sigma2 = f_.spread == Spread::twice_block ? 2 * mean : mean;
    for (size_t i = 0; i < n; ++i) {
      const float spread = f_.spread == Spread::none ? 1 : std::sqrt(sigma2 + x[i] * x[i]);
      w[i] = importance_.usable[first + i] * spread;
      theirs[i] = importance_.given[first + i] * spread;
    }
  }
  Vec most = splat(0);
  for (size_t i = 0; i < n; i += 16) most = greater(most, load(w + i));
  float lanes[16], largest = 0;
  store(lanes, most);
  for (const float lane : lanes) largest = greater(largest, lane);
  // Squares of values near the ends of the float range are 0 or infinite: all count alike then.
  if (largest >= FLT_MIN && largest <= FLT_MAX) {
    const float inverse = 1 / largest;
    for (size_t i = 0; i < n; ++i) w[i] *= inverse;
  } else {
    for (size_t i = 0; i < n; ++i) w[i] = 1;
  }
}

}  // namespace miao::compress
