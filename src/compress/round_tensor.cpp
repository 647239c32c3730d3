#include "compress/round_tensor.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/thread_pool.h"

namespace miao::compress {

namespace {

constexpr int64_t kSlice = int64_t{4} << 20;  // weights that are decoded at a time

Result<void> round_rows(const TensorView& source, DType to, Range rows, std::span<const float> mean,
                        const RoundOptions& options, ThreadPool& pool, const RoundSink& sink) {
  const int64_t cols = source.cols(), step = std::max<int64_t>(1, kSlice / cols);
  std::vector<float> values;
  std::vector<std::byte> bytes;
  for (int64_t row = rows.begin; row < rows.end; row += step) {
    const int64_t count = std::min(step, rows.end - row);
    values.resize(static_cast<size_t>(count * cols));
    bytes.resize(static_cast<size_t>(count * row_bytes(to, cols)));
    format(source.dtype).decode(source.row(row), values.data(), count * cols);
    MatrixOptions matrix{.method = mean.empty() ? options.otherwise : Rounding::importance,
                         .importance = mean,
                         .first_row = row,
                         .cancel = options.cancel,
                         .progress = {}};
    if (matrix.method == Rounding::importance && mean.empty()) matrix.method = Rounding::least_squares;
    auto coded = encode_matrix(to, values, cols, matrix, pool, bytes.data());
    if (!coded.ok()) return std::move(coded.error()).at(source.name);
    MIAO_CHECK_OK(sink(row, values, bytes));
  }
  return {};
}

}  // namespace

Result<void> check_numbers(const TensorView& t, ThreadPool& pool, const std::atomic<bool>* cancel) {
  const Format& f = format(t.dtype);
  if (!f.decode || t.elements() == 0) return {};
  const int64_t cols = t.cols(), rows = t.rows();
  std::atomic<int64_t> bad{rows};  // the first row with one
  pool.run([&](Worker& worker) {
    std::vector<float> row(static_cast<size_t>(cols));
    const Range own = worker.split(rows);
    for (int64_t r = own.begin; r < own.end && r < bad; ++r) {
      if (cancel && cancel->load(std::memory_order_relaxed)) return;
      f.decode(t.row(r), row.data(), cols);
      float sum = 0;  // of zeros, and of a NaN for what is no number
      for (const float v : row) sum += v * 0;
      if (sum == 0) continue;
      int64_t seen = bad;
      while (r < seen && !bad.compare_exchange_weak(seen, r)) {
      }
    }
  });
  if (cancel && cancel->load(std::memory_order_relaxed)) return Error{Code::cancelled, "interrupted", {}};
  if (bad == rows) return {};
  std::vector<float> row(static_cast<size_t>(cols));
  f.decode(t.row(bad), row.data(), cols);
  const auto at = std::ranges::find_if(row, [](float v) { return !std::isfinite(v); });
  return Error{Code::invalid,
               "value " + std::to_string(at - row.begin()) + " is " + (std::isnan(*at) ? "NaN" : "infinite") +
                   ": the checkpoint is damaged or its training diverged",
               t.name + ": row " + std::to_string(bad)};
}

Result<void> check_numbers(const io::Checkpoint& model, ThreadPool& pool, const std::atomic<bool>* cancel) {
  for (const TensorView& t : model.tensors()) {
    if (auto good = check_numbers(t, pool, cancel); !good.ok()) {
      return std::move(good.error()).at(model.path().string());
    }
  }
  return {};
}

Result<void> round_tensor(const TensorView& source, DType to, const RoundOptions& options, ThreadPool& pool,
                          const RoundSink& sink) {
  const int64_t matrices = source.shape.size() > 2 ? source.shape[0] : 1, rows = source.rows() / matrices;
  for (int64_t i = 0; i < matrices; ++i) {
    const std::vector<float> mean =
        options.importance ? options.importance->mean(source.name, i) : std::vector<float>();
    MIAO_CHECK_OK(round_rows(source, to, {i * rows, (i + 1) * rows}, mean, options, pool, sink));
  }
  return {};
}

}  // namespace miao::compress
