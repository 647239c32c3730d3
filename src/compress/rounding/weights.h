// The weight w that the squared error of an element counts with, per block:
//
//   with importance   importance_j * sqrt(sigma^2 + x_j^2), where sigma^2 is the mean square of the row or of the
//   block,
//                     or twice that; Q6_K: importance_j. These are llama.cpp's, per format.
//   without           sqrt(4 s^2 + x^2), s^2 the mean square of the group: from 1 for small values to 1.6 for one
//   of 2.5 s.
//                     Nearly equal weights gave the least error of products with real activations (x^2, which llama.cpp
//                     has for some formats, 10 % more), and the largest values keep a little of their due.
//
// Only ratios within a block matter, so the largest is brought to 1.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "compress/rounding/family.h"

namespace miao::compress {

// Importance that a search can use, and as it was given, which llama.cpp's choice depends on.
struct Importance {
  std::span<const float> given;
  std::vector<float> usable;  // divided by its mean, with a floor, so that columns that no activation reached still
                              // give defined scales; empty: none, or all zero
  bool empty() const { return usable.empty(); }
};
Result<Importance> usable_importance(std::span<const float> importance, int64_t cols);

float mean_square(std::span<const float> x);  // of a multiple of 16 values

class RowWeights {
 public:
  RowWeights(const Family& f, std::span<const float> row, const Importance& importance);

  // w[0..block) for the block from value `first`, and what llama.cpp has there with importance: theirs, else untouched.
  void block(size_t first, float* w, float* theirs) const;

 private:
  const Family& f_;
  std::span<const float> row_;
  const Importance& importance_;
  float row_mean_square_ = 0;
};

}  // namespace miao::compress
