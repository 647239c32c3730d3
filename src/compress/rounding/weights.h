// The weight w that the squared error of an element counts with, per block:
//
//   with importance   importance_j * sqrt(sigma^2 + x_j^2), where sigma^2 is the mean square of the row or of the
//   block, or
//                     twice that; Q6_K: importance_j. These are llama.cpp's, per format.
//   without           x^2 (formats without offset) or rms + |x| of the group (with one): llama.cpp's for the formats
//   that it
//                     searches without importance. Large weights count more than their error alone would: they tend to
//                     meet large activations, and equal weights gave worse models for a smaller error.
//
// Only ratios within a block matter, so the largest is brought to 1.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "compress/rounding/family.h"

namespace miao::compress {

// Importance that a search can use: divided by its mean, with a floor, so that columns that no activation reached still
// give defined scales. Empty where all are zero. Errors: invalid.
Result<std::vector<float>> usable_importance(std::span<const float> importance, int64_t cols);

float mean_square(std::span<const float> x);  // of a multiple of 16 values

// w[0..block) for the block at x; importance of its columns or null. row_mean_square is used where Spread::row says so.
void block_weights(const Family& f, const float* x, const float* importance, float row_mean_square, float* w);

}  // namespace miao::compress
