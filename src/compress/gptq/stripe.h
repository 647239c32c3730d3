// Some rows of a matrix on their way to a block format: what encode_gptq() gives to its parts.
#pragma once

#include <cstdint>
#include <vector>

#include "compress/gptq.h"
#include "compress/gptq/lane_product.h"
#include "compress/rounding/family.h"

namespace miao::compress {

inline constexpr int64_t kGptqColumns = 256;  // at a time: whole blocks of every format

// Everything in the order of the file: (rows, cols), blocks of a row one after the other.
struct Stripe {
  const Family& f;
  const Feedback& feedback;
  int64_t rows;
  std::vector<float> w;
  std::vector<int8_t> codes;
  std::vector<Scales> scales;
  std::vector<float> error;  // w less the value of the code

  Stripe(const Family& family, const Feedback& own, const float* first, int64_t count)
      : f(family),
        feedback(own),
        rows(count),
        w(first, first + count * own.cols),
        codes(static_cast<size_t>(count * own.cols)),
        scales(static_cast<size_t>(count * own.cols / family.block)),
        error(codes.size()) {}

  int64_t cols() const { return feedback.cols; }
  size_t at(int64_t row, int64_t col) const { return static_cast<size_t>(row * feedback.cols + col); }
  Scales& scales_at(int64_t row, int64_t col) {
    return scales[static_cast<size_t>(row * (feedback.cols / f.block) + col / f.block)];
  }
  int group_of(int64_t col) const { return static_cast<int>(col % f.block / f.group); }
};

// Weights whose products with the inputs at hand are those of the weights that were given with undisturbed inputs;
// `share` of the way to them.
void aim(Stripe& stripe, float share, const graph::Context& context);

// Scales, codes and errors, column by column in the order of the feedback.
void sweep(Stripe& stripe, const graph::Context& context);

// One round over all columns: each code, and the scales of each block, to what is best given all others.
// `pull` (rows, cols): error times H, which it keeps so.
void refine(Stripe& stripe, const graph::Context& context, std::vector<float>& pull);

}  // namespace miao::compress
