// Moments and their factor: H = L^T L, by blocks of columns from the last to the first.
//
//            j < b   b      rows of block b:  A_bb = L_bb^T L_bb            small, column by column
//   A =  (   ...           )                  A_bj = L_bb^T L_bj            back-substitution, row by row
//        (  A_bj   A_bb    )                  A_ij -= L_bi^T L_bj           most of the work: a product
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "compress/gptq.h"
#include "compress/gptq/gram.h"

namespace miao::compress {

namespace {

constexpr int64_t kBlock = 128;

// Columns of (rows, cols) to rows of (cols, rows), 16 values at a time of each.
void transpose(const float* from, int64_t ld_from, int64_t rows, Range cols, float* to, int64_t ld_to) {
  for (int64_t r0 = 0; r0 < rows; r0 += 16) {
    const int64_t r1 = std::min(r0 + 16, rows);
    for (int64_t c = cols.begin; c < cols.end; ++c) {
      for (int64_t r = r0; r < r1; ++r) to[c * ld_to + r] = from[r * ld_from + c];
    }
  }
}

// In place: A_bb = L_bb^T L_bb of the lower half. False where it is not positive.
bool factor_corner(float* a, int64_t ld, int64_t n) {
  for (int64_t k = n - 1; k >= 0; --k) {
    float* const row = a + k * ld;
    if (!(row[k] > 0) || !std::isfinite(row[k])) return false;
    row[k] = std::sqrt(row[k]);
    for (int64_t j = 0; j < k; ++j) row[j] /= row[k];
    for (int64_t i = 0; i < k; ++i) {
      float* const to = a + i * ld;
      for (int64_t j = 0; j <= i; ++j) to[j] -= row[i] * row[j];
    }
  }
  return true;
}

// Rows of a block, columns 0..cols: L_bj = L_bb^-T A_bj.
void solve_rows(const graph::Context& context, const float* corner, float* rows, int64_t ld, int64_t n, int64_t cols) {
  context.pool.run([&](Worker& worker) {
    const Range mine = worker.split(cols, 16);
    for (int64_t k = n - 1; k >= 0; --k) {
      float* const to = rows + k * ld;
      for (int64_t i = k + 1; i < n; ++i) {
        const float factor = corner[i * ld + k];
        const float* const from = rows + i * ld;
        for (int64_t j = mine.begin; j < mine.end; ++j) to[j] -= factor * from[j];
      }
      for (int64_t j = mine.begin; j < mine.end; ++j) to[j] /= corner[k * ld + k];
    }
  });
}

bool factor(const graph::Context& context, std::vector<float>& a, int64_t n) {
  std::vector<float> panel;  // the block's rows on their side: (columns, kBlock)
  for (int64_t first = (n - 1) / kBlock * kBlock; first >= 0; first -= kBlock) {
    const int64_t size = std::min(kBlock, n - first);
    float* const rows = a.data() + first * n;
    if (!factor_corner(rows + first, n, size)) return false;
    if (first == 0) break;
    solve_rows(context, rows + first, rows, n, size, first);
    panel.resize(static_cast<size_t>(first * size));
    context.pool.run([&](Worker& worker) { transpose(rows, n, size, worker.split(first, 16), panel.data(), size); });
    add_gram(context, panel.data(), size, first, size, -1, a.data(), n);
  }
  return true;
}

// Blocks by the mean of their columns' weights, columns of a block by their own: the largest first.
std::vector<int32_t> order_of(const std::vector<float>& weights, int64_t block) {
  const auto n = static_cast<int64_t>(weights.size());
  std::vector<int32_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> sums(static_cast<size_t>((n + block - 1) / block));
  for (int64_t i = 0; i < n; ++i) sums[static_cast<size_t>(i / block)] += weights[static_cast<size_t>(i)];
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
    const auto of_a = static_cast<size_t>(a / block), of_b = static_cast<size_t>(b / block);
    if (of_a == of_b) return weights[static_cast<size_t>(a)] > weights[static_cast<size_t>(b)];
    return sums[of_a] != sums[of_b] ? sums[of_a] > sums[of_b] : of_a < of_b;
  });
  return order;
}

}  // namespace

void Moments::add(const graph::Context& context, const float* x, const float* undisturbed, int64_t n, int64_t stride) {
  side_.resize(static_cast<size_t>(cols_ * n));
  if (undisturbed) apart_.resize(side_.size());
  context.pool.run([&](Worker& worker) {
    const Range mine = worker.split(cols_, 16);
    transpose(x, stride, n, mine, side_.data(), n);
    if (!undisturbed) return;
    transpose(undisturbed, stride, n, mine, apart_.data(), n);
    for (int64_t i = mine.begin * n; i < mine.end * n; ++i)
      apart_[static_cast<size_t>(i)] -= side_[static_cast<size_t>(i)];
  });
  add_gram(context, side_.data(), n, cols_, n, 1, sum_.data(), cols_);
  rows_ += n;
  if (!undisturbed) return;
  drift_.resize(static_cast<size_t>(cols_ * cols_));
  drift_rows_ += n;
  add_product(context, apart_.data(), n, cols_, side_.data(), n, cols_, n, drift_.data(), cols_);
}

Result<Feedback> Feedback::of(const graph::Context& context, const Moments& moments, int64_t block, double damp) {
  const int64_t n = moments.cols();
  if (moments.rows() == 0) return Error{Code::invalid, "no calibration text reached this matrix", {}};
  Feedback out{
      .cols = n, .order = {}, .h = {}, .l = {}, .drift = {}, .importance = std::vector<float>(static_cast<size_t>(n))};
  const auto rows = static_cast<double>(moments.rows());
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double square = moments.at(i, i) / rows;
    if (!std::isfinite(square))
      return Error{Code::corrupt, "the inputs of column " + std::to_string(i) + " are no numbers", {}};
    out.importance[static_cast<size_t>(i)] = static_cast<float>(square);
    mean += square / static_cast<double>(n);
  }
  if (mean == 0) mean = 1;  // nothing but zeros went in: every rounding is as good as another
  for (const float v : moments.drift())
    out.drift.push_back(static_cast<float>(v / static_cast<double>(moments.drift_rows())));
  out.order = order_of(out.importance, block);
  out.h.resize(static_cast<size_t>(n * n));
  for (; damp <= 1; damp *= 10) {
    for (int64_t i = 0; i < n; ++i) {
      float* const row = out.h.data() + i * n;
      for (int64_t j = 0; j < n; ++j) row[j] = static_cast<float>(moments.at(i, j) / rows);
      row[i] += static_cast<float>(row[i] > 0 ? damp * mean : mean);  // a dead column goes its own way
    }
    out.l.assign(static_cast<size_t>(n * n), 0);
    for (int64_t i = 0; i < n; ++i) {
      const float* const from = out.h.data() + out.order[static_cast<size_t>(i)] * n;
      for (int64_t j = 0; j <= i; ++j) out.l[static_cast<size_t>(i * n + j)] = from[out.order[static_cast<size_t>(j)]];
    }
    if (!factor(context, out.l, n)) continue;
    for (int64_t i = 0; i < n; ++i) std::fill_n(out.l.data() + i * n + i + 1, n - i - 1, 0.0f);
    return out;
  }
  return Error{Code::corrupt, "the second moments of the inputs have no factor; they are no moments of real rows", {}};
}

}  // namespace miao::compress
