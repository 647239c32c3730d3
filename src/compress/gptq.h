// GPTQ: rounding that makes up for its own errors. The columns of a matrix are rounded one after the other, and what a
// rounding changes of the product with real inputs is taken from the columns that come later.
//
//   minimise  (w - v) H (w - v)^T   over rows v of the format,   H = mean of x x^T over calibration inputs x
//
// With H = L^T L, L lower triangular, the best value that column k could have, given what was made of those before it,
// is
//
//   t_k = w_k + sum over i < k of (w_i - v_i) L[k][i] / L[k][k]
//
// and v_k = round(t_k). This is GPTQ (Frantar et al. 2022, arXiv 2210.17323) in the form that needs no inverse (Chee et
// al. 2023, arXiv 2307.13304, theorem 6). Columns with large inputs come first, so that all others make up for them:
// blocks in the order of their means, columns of a block in the order of their own. Scales of a block are searched for
// when the sweep enters it, on the values that its columns would best have then (as IST-DASLab's GPTQ for k-quants
// does), weighted with what is left of an error once later columns have made up for it, L[k][k]^2. Rounds of coordinate
// descent over codes and scales follow (gptq/refine.cpp).
//
// Inputs are those of a model whose earlier layers have been rounded already. Where it is known what they would be
// without, x', the product aimed at is that of the weights as they are with x' (GPTAQ, Li et al. 2025, arXiv
// 2504.02692): the same problem with w + w D H^-1 in place of w, D = mean of (x' - x) x^T.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "graph/context.h"
#include "tensor/dtype.h"

namespace miao::compress {

// The sum of x x^T over rows x of what a matrix reads.
class Moments {
 public:
  explicit Moments(int64_t cols) : cols_(cols), sum_(static_cast<size_t>(cols * cols)) {}

  // `n` rows of `cols` values. With all threads. The bits of the sum depend on how rows are grouped to calls.
  // `undisturbed`: what the same rows would be without rounding, or null.
  void add(const graph::Context& context, const float* x, const float* undisturbed, int64_t n, int64_t stride);

  int64_t cols() const { return cols_; }
  int64_t rows() const { return rows_; }  // that were added
  float at(int64_t i, int64_t j) const { return sum_[static_cast<size_t>(i >= j ? i * cols_ + j : j * cols_ + i)]; }
  // (cols, cols) the sum of (x' - x) x^T; empty where no call of add() knew x'
  std::span<const float> drift() const { return drift_; }
  int64_t drift_rows() const { return drift_rows_; }  // with a known x'

 private:
  int64_t cols_, rows_ = 0, drift_rows_ = 0;
  std::vector<float> sum_;  // (cols, cols), the lower half
  std::vector<float> drift_;
  std::vector<float> side_, apart_;  // of the call at hand: rows on their side, and how far they are from undisturbed
};

// H, the mean of x x^T, which many matrices share, and its factor.
struct Feedback {
  int64_t cols = 0;
  std::vector<int32_t> order;     // (cols) the column that the sweep comes to k-th
  std::vector<float> h;           // (cols, cols) H with its damping
  std::vector<float> l;           // (cols, cols) L of H in the sweep's order, lower triangular
  std::vector<float> drift;       // (cols, cols) D; or empty
  std::vector<float> importance;  // (cols) the diagonal of H without damping

  // `block`: columns that stay together, those of a block of the format. `damp`: share of the mean of the diagonal
  // that is added to it. Where that is too little for a factor, ten times as much, up to 1. Errors: invalid for moments
  // of no rows, corrupt for such as are no numbers.
  static Result<Feedback> of(const graph::Context& context, const Moments& moments, int64_t block, double damp = 0.01);
};

struct GptqOptions {
  int rounds = 1;  // of coordinate descent
  // Share of w D H^-1. All of it is best for one matrix, and ruins a model of many (SmolLM2-135M in Q4_0, KL
  // divergence: 0 0.157, 0.1 0.129, 0.5 7): a small one is taken.
  double drift = 0.1;
  const std::atomic<bool>* cancel = nullptr;
};

// Rows of src (rows, cols) to dst, in a block format with blocks as those of the feedback. Errors: as of encode_matrix.
Result<void> encode_gptq(DType dtype, std::span<const float> src, const Feedback& feedback, const GptqOptions& options,
                         const graph::Context& context, std::byte* dst);

}  // namespace miao::compress
