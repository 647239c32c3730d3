// Rank correlation of weighted items: of a resample, without sorting it again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace miao::measure {

// Values and their order.
class WeightedRanks {
 public:
  explicit WeightedRanks(std::vector<double> values);
  // The rank of each item among as many copies as `weights` says; the mean of equals (0 for items that are not there).
  void ranks(std::span<const uint32_t> weights, std::vector<double>& out) const;

 private:
  std::vector<double> values_;
  std::vector<size_t> order_;
};

// Spearman's coefficient; 0 where one of the two does not vary.
double spearman(const WeightedRanks& a, const WeightedRanks& b, std::span<const uint32_t> weights);

}  // namespace miao::measure
