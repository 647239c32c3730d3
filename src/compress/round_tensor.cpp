#include "compress/round_tensor.h"

#include <algorithm>
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
