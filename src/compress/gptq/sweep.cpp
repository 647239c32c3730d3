// The sweep over the columns, 256 at a time (whole blocks of every format):
//
//   in a block     16 rows of the matrix side by side in the lanes, column by column
//   behind it      what its errors ask of all later columns: one product
#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "compress/gptq.h"
#include "compress/gptq/gram.h"
#include "compress/rounding.h"
#include "compress/rounding/family.h"
#include "compress/rounding/search.h"

namespace miao::compress {

namespace {

constexpr int64_t kLanes = 16, kColumns = 256;
using Lanes = float[kLanes];

struct Sweep {
  const Family& f;
  const Feedback& feedback;
  std::span<const float> w;  // (rows, cols)
  int64_t rows, cols;
  std::vector<float> asked;  // (rows, cols): sum of (w_i - v_i) L[k][i] over the columns i that are done
  std::vector<float> error;  // (rows, kColumns): w - v of the columns at hand
  std::byte* dst;
};

// What the columns first .. first + n would best have, given those before: y solves L_bb y = asked, value = w + y.
void best_values(const Sweep& s, int64_t row, int64_t first, int64_t n, Lanes* y) {
  for (int64_t k = 0; k < n; ++k) {
    const float* const l = s.feedback.l.data() + (first + k) * s.cols + first;
    Lanes sum;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      sum[lane] = row + lane < s.rows ? s.asked[static_cast<size_t>((row + lane) * s.cols + first + k)] : 0;
    }
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t lane = 0; lane < kLanes; ++lane) sum[lane] -= l[i] * y[i][lane];
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) y[k][lane] = sum[lane] / l[k];
  }
}

// Scales of the blocks of one row in columns first .. first + n. An error of column k counts L[k][k]^2: what is left of
// it when all later columns have made up for it as well as they can.
void choose_scales(const Sweep& s, int64_t row, int64_t lane, int64_t first, int64_t n, const Lanes* y,
                   Scales* scales) {
  float x[kColumns], weights[kColumns];
  for (int64_t k = 0; k < n; ++k) x[k] = s.w[static_cast<size_t>(row * s.cols + first + k)] + y[k][lane];
  for (int64_t b = 0; b < n; b += s.f.block) {
    float largest = 0;
    for (int64_t i = 0; i < s.f.block; ++i) {
      const float own = s.feedback.l[static_cast<size_t>((first + b + i) * (s.cols + 1))];
      weights[b + i] = own * own;
      largest = std::max(largest, weights[b + i]);
    }
    for (int64_t i = 0; i < s.f.block; ++i) weights[b + i] /= largest;  // only ratios matter
  }
  search_scales(s.f, x, weights, weights, static_cast<int>(n / s.f.block), scales);
}

// Columns first .. first + n of up to 16 rows.
void sweep_rows(Sweep& s, int64_t row, int64_t first, int64_t n) {
  const int64_t count = std::min(kLanes, s.rows - row), blocks = n / s.f.block;
  Lanes y[kColumns], error[kColumns];
  best_values(s, row, first, n, y);
  std::vector<Scales> scales(static_cast<size_t>(count * blocks));
  for (int64_t lane = 0; lane < count; ++lane) {
    choose_scales(s, row + lane, lane, first, n, y, scales.data() + lane * blocks);
  }
  int8_t codes[kLanes][kColumns];
  for (int64_t k = 0; k < n; ++k) {
    const float* const l = s.feedback.l.data() + (first + k) * s.cols + first;
    Lanes sum = {};
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t lane = 0; lane < kLanes; ++lane) sum[lane] += l[i] * error[i][lane];
    }
    const auto block = static_cast<size_t>(k / s.f.block);
    const int group = static_cast<int>(k % s.f.block / s.f.group);
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      error[k][lane] = 0;
      if (lane >= count) continue;
      const auto at = static_cast<size_t>((row + lane) * s.cols + first + k);
      const Scales& own = scales[static_cast<size_t>(lane * blocks) + block];
      const int code = nearest_code(s.f, own, group, s.w[at] + (s.asked[at] + sum[lane]) / l[k]);
      codes[lane][k] = static_cast<int8_t>(code);
      error[k][lane] = s.w[at] - code_value(s.f, own, group, code);
    }
  }
  const int64_t bytes = format(s.f.dtype).bytes, row_size = row_bytes(s.f.dtype, s.cols);
  for (int64_t lane = 0; lane < count; ++lane) {
    std::byte* const to = s.dst + (row + lane) * row_size + first / s.f.block * bytes;
    for (int64_t b = 0; b < blocks; ++b) {
      s.f.pack(scales[static_cast<size_t>(lane * blocks + b)], codes[lane] + b * s.f.block, to + b * bytes);
    }
    for (int64_t k = 0; k < n; ++k) s.error[static_cast<size_t>((row + lane) * kColumns + k)] = error[k][lane];
  }
}

}  // namespace

Result<void> encode_gptq(DType dtype, std::span<const float> src, const Feedback& feedback, const GptqOptions& options,
                         const graph::Context& context, std::byte* dst) {
  const int64_t cols = feedback.cols, rows = static_cast<int64_t>(src.size()) / cols;
  MIAO_CHECK(rows * cols == static_cast<int64_t>(src.size()));
  const Family* const f = family(dtype);
  if (!f)
    return Error{
        Code::unsupported, std::string(format(dtype).name) + " has no blocks whose errors could be made up for", {}};
  if (cols % f->block != 0) {
    return Error{Code::unsupported,
                 "rows of " + std::to_string(cols) + " values are not whole blocks of " + format(dtype).name,
                 {}};
  }
  for (size_t i = 0; i < src.size(); ++i) {
    if (std::fabs(src[i]) <= f->largest) continue;
    return Error{
        Code::invalid,
        "value " + std::to_string(i % static_cast<size_t>(cols)) + " is beyond the range of " + format(dtype).name,
        "row " + std::to_string(i / static_cast<size_t>(cols))};
  }
  Sweep s{.f = *f,
          .feedback = feedback,
          .w = src,
          .rows = rows,
          .cols = cols,
          .asked = std::vector<float>(src.size()),
          .error = std::vector<float>(static_cast<size_t>(rows * kColumns)),
          .dst = dst};
  for (int64_t first = 0; first < cols; first += kColumns) {
    if (options.cancel && options.cancel->load(std::memory_order_relaxed))
      return Error{Code::cancelled, "interrupted", {}};
    const int64_t n = std::min(kColumns, cols - first), rest = cols - first - n;
    std::atomic<int64_t> next = 0;
    context.pool.run([&](Worker& worker) {
      for (int64_t tile; (tile = worker.next(next)) * kLanes < rows;) sweep_rows(s, tile * kLanes, first, n);
    });
    if (rest > 0) {
      add_product(context, s.error.data(), kColumns, rows, feedback.l.data() + (first + n) * cols + first, cols, rest,
                  n, s.asked.data() + first + n, cols);
    }
    if (options.progress) options.progress(first + n);
  }
  return {};
}

}  // namespace miao::compress
