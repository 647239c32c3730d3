// The sweep over the columns in the order of the feedback, 256 at a time:
//
//   in a tile     16 rows of the matrix side by side in the lanes, column by column
//   behind it     what its errors ask of all later columns: one product
#include <algorithm>
#include <atomic>

#include "compress/gptq/gram.h"
#include "compress/gptq/stripe.h"
#include "compress/rounding/search.h"

namespace miao::compress {

namespace {

struct Sweep {
  Stripe& s;
  std::vector<float> asked;  // (rows, cols) in the sweep's order: sum of (w_i - v_i) L[k][i] over the columns i done
  std::vector<float> error;  // (rows, kGptqColumns): w - v of the columns at hand

  const float* l(int64_t k, int64_t from) const { return s.feedback.l.data() + k * s.cols() + from; }
  int64_t column(int64_t k) const { return s.feedback.order[static_cast<size_t>(k)]; }
};

// What the columns first .. first + n would best have, given those before: y solves L_bb y = asked, value = w + y.
void best_values(const Sweep& sweep, int64_t row, int64_t first, int64_t n, Lanes* y) {
  for (int64_t k = 0; k < n; ++k) {
    const float* const l = sweep.l(first + k, first);
    for (int64_t lane = 0; lane < kGptqLanes; ++lane) {
      y[k][lane] = row + lane < sweep.s.rows ? sweep.asked[sweep.s.at(row + lane, first + k)] : 0;
    }
    subtract_product(l, 1, k, y, 1, y + k);
    for (float& value : y[k]) value /= l[k];
  }
}

// Scales of the blocks of one row that the sweep's columns first .. first + n are. An error of column k counts
// L[k][k]^2: what is left of it when all later columns have made up for it as well as they can.
void choose_scales(Sweep& sweep, int64_t row, int64_t lane, int64_t first, int64_t n, const Lanes* y) {
  Stripe& s = sweep.s;
  float x[kGptqColumns], weights[kGptqColumns];
  for (int64_t b = 0; b < n; b += s.f.block) {
    float largest = 0;
    for (int64_t i = 0; i < s.f.block; ++i) {
      const int64_t col = sweep.column(first + b + i), in = b + col % s.f.block;
      x[in] = s.w[s.at(row, col)] + y[b + i][lane];
      const float own = sweep.l(first + b + i, 0)[first + b + i];
      weights[in] = own * own;
      largest = std::max(largest, weights[in]);
    }
    for (int64_t i = 0; i < s.f.block; ++i) weights[b + i] /= largest;  // only ratios matter
  }
  Scales found[kSearchBlocks];
  search_scales(s.f, x, weights, weights, static_cast<int>(n / s.f.block), found);
  for (int64_t b = 0; b < n; b += s.f.block) s.scales_at(row, sweep.column(first + b)) = found[b / s.f.block];
}

// Columns first .. first + n of the sweep, of up to 16 rows.
void sweep_rows(Sweep& sweep, int64_t row, int64_t first, int64_t n) {
  Stripe& s = sweep.s;
  const int64_t count = std::min(kGptqLanes, s.rows - row);
  Lanes y[kGptqColumns], error[kGptqColumns];
  best_values(sweep, row, first, n, y);
  for (int64_t lane = 0; lane < count; ++lane) choose_scales(sweep, row + lane, lane, first, n, y);
  for (int64_t k = 0; k < n; ++k) {
    const float* const l = sweep.l(first + k, first);
    Lanes sum = {};  // less what is asked of the column
    subtract_product(l, 1, k, error, 1, &sum);
    const int64_t col = sweep.column(first + k);
    const int group = s.group_of(col);
    for (int64_t lane = 0; lane < kGptqLanes; ++lane) {
      error[k][lane] = 0;
      if (lane >= count) continue;
      const size_t at = s.at(row + lane, col);
      const Scales& own = s.scales_at(row + lane, col);
      const float wanted = s.w[at] + (sweep.asked[s.at(row + lane, first + k)] - sum[lane]) / l[k];
      const int code = nearest_code(s.f, own, group, wanted);
      s.codes[at] = static_cast<int8_t>(code);
      s.error[at] = error[k][lane] = s.w[at] - code_value(s.f, own, group, code);
    }
  }
  for (int64_t lane = 0; lane < count; ++lane) {
    for (int64_t k = 0; k < n; ++k) sweep.error[static_cast<size_t>((row + lane) * kGptqColumns + k)] = error[k][lane];
  }
}

}  // namespace

void sweep(Stripe& s, const graph::Context& context) {
  const int64_t cols = s.cols();
  Sweep sweep{.s = s,
              .asked = std::vector<float>(s.error.size()),
              .error = std::vector<float>(static_cast<size_t>(s.rows * kGptqColumns))};
  for (int64_t first = 0; first < cols; first += kGptqColumns) {
    const int64_t n = std::min(kGptqColumns, cols - first), rest = cols - first - n;
    std::atomic<int64_t> next = 0;
    context.pool.run([&](Worker& worker) {
      for (int64_t tile; (tile = worker.next(next)) * kGptqLanes < s.rows;)
        sweep_rows(sweep, tile * kGptqLanes, first, n);
    });
    if (rest == 0) break;
    add_product(context, sweep.error.data(), kGptqColumns, s.rows, sweep.l(first + n, first), cols, rest, n,
                sweep.asked.data() + first + n, cols);
  }
}

}  // namespace miao::compress
