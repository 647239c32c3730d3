#include "measure/ranks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace miao::measure {

WeightedRanks::WeightedRanks(std::vector<double> values) : values_(std::move(values)), order_(values_.size()) {
  std::iota(order_.begin(), order_.end(), size_t{0});
  std::ranges::stable_sort(order_, {}, [&](size_t i) { return values_[i]; });
}

void WeightedRanks::ranks(std::span<const uint32_t> weights, std::vector<double>& out) const {
  out.assign(values_.size(), 0);
  double before = 0;
  for (size_t begin = 0; begin < order_.size();) {
    size_t end = begin;
    double count = 0;
    for (; end < order_.size() && values_[order_[end]] == values_[order_[begin]]; ++end) count += weights[order_[end]];
    for (size_t i = begin; i < end; ++i) {
      if (weights[order_[i]] > 0) out[order_[i]] = before + (count + 1) / 2;
    }
    before += count;
    begin = end;
  }
}

double spearman(const WeightedRanks& a, const WeightedRanks& b, std::span<const uint32_t> weights) {
  std::vector<double> x, y;
  a.ranks(weights, x);
  b.ranks(weights, y);
  double n = 0;
  for (const uint32_t w : weights) n += w;
  const double middle = (n + 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double dx = x[i] - middle, dy = y[i] - middle, w = weights[i];
    xy += w * dx * dy;
    xx += w * dx * dx;
    yy += w * dy * dy;
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

}  // namespace miao::measure
