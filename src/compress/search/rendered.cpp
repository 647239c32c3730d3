#include "compress/search/rendered.h"

#include <algorithm>

#include "base/thread_pool.h"
#include "io/checkpoint.h"

namespace miao::compress {

namespace {

// Sum over rows of importance * (values - decoded)^2.
double error_of(runtime::Blockwise& model, DType type, int64_t cols, std::span<const float> values,
                std::span<const std::byte> bytes, std::span<const float> importance) {
  const int64_t rows = static_cast<int64_t>(values.size()) / cols, size = row_bytes(type, cols);
  std::vector<double> sums(static_cast<size_t>(rows));
  model.pool().run([&](Worker& worker) {
    std::vector<float> row(static_cast<size_t>(cols));
    const Range own = worker.split(rows);
    for (int64_t r = own.begin; r < own.end; ++r) {
      format(type).decode(bytes.data() + r * size, row.data(), cols);
      double sum = 0;
      for (int64_t c = 0; c < cols; ++c) {
        const double d = double{values[static_cast<size_t>(r * cols + c)]} - double{row[static_cast<size_t>(c)]};
        sum += d * d * (importance.empty() ? 1.0 : double{importance[static_cast<size_t>(c)]});
      }
      sums[static_cast<size_t>(r)] = sum;
    }
  });
  double out = 0;
  for (const double sum : sums) out += sum;
  return out;
}

}  // namespace

Result<Rendered> render(runtime::Blockwise& model, const TensorView& source, DType type, const RoundOptions& options) {
  Rendered out;
  out.view = source;
  out.view.dtype = type;
  const int64_t cols = source.cols();
  out.view.bytes = static_cast<uint64_t>(source.rows() * row_bytes(type, cols));
  out.bytes.reserve(static_cast<size_t>(out.view.bytes));
  const int64_t of_matrix = source.shape.size() > 2 ? source.shape[1] : source.rows();
  const auto sink = [&](int64_t row, std::span<const float> values, std::span<const std::byte> bytes) -> Result<void> {
    const int64_t matrix = row / of_matrix;
    const std::vector<float> mean =
        options.importance ? options.importance->mean(source.name, matrix) : std::vector<float>();
    double rows_read = 1;
    if (!mean.empty()) {
      rows_read = options.importance->inputs().find(source.name)->second.count[static_cast<size_t>(matrix)];
    }
    out.error += rows_read * error_of(model, type, cols, values, bytes, mean);
    out.bytes.insert(out.bytes.end(), bytes.begin(), bytes.end());
    return {};
  };
  MIAO_CHECK_OK(round_tensor(source, type, options, model.pool(), sink));
  out.view.data = out.bytes.data();
  return out;
}

Result<Rendered> stand_in(runtime::Blockwise& model, const TensorView& source, DType type) {
  constexpr int64_t kRows = 16;
  const int64_t rows = source.rows(), some = std::min(rows, kRows), cols = source.cols();
  const auto size = static_cast<size_t>(row_bytes(type, cols));
  Rendered out;
  out.view = source;
  out.view.dtype = type;
  out.view.bytes = static_cast<uint64_t>(rows) * size;
  out.bytes.resize(static_cast<size_t>(out.view.bytes));
  std::vector<float> values(static_cast<size_t>(some * cols));
  for (int64_t r = 0; r < some; ++r) format(source.dtype).decode(source.row(r), values.data() + r * cols, cols);
  MatrixOptions options;
  options.method = Rounding::nearest;
  auto done = encode_matrix(type, values, cols, options, model.pool(), out.bytes.data());
  if (!done.ok()) return std::move(done.error()).at(source.name);
  for (int64_t r = some; r < rows; ++r) {
    const auto to = out.bytes.begin() + r * static_cast<int64_t>(size);
    std::copy_n(out.bytes.begin() + r % some * static_cast<int64_t>(size), size, to);
  }
  out.view.data = out.bytes.data();
  return out;
}

Sample sample_of(const TensorView& source) {
  constexpr int64_t kRows = 96;
  const bool experts = source.shape.size() > 2;
  const int64_t rows = experts ? source.shape[1] : source.rows(), matrices = source.rows() / rows;
  const int64_t some = std::min(rows, kRows);
  const auto size = static_cast<size_t>(row_bytes(source.dtype, source.cols()));
  Sample out;
  out.bytes.reserve(static_cast<size_t>(matrices * some) * size);
  for (int64_t m = 0; m < matrices; ++m) {
    for (int64_t i = 0; i < some; ++i) {
      const std::byte* const row = source.row(m * rows + i * rows / some);
      out.bytes.insert(out.bytes.end(), row, row + size);
    }
  }
  out.view = source;
  out.view.shape = experts ? std::vector<int64_t>{matrices, some, source.cols()} : std::vector{some, source.cols()};
  out.view.data = out.bytes.data();
  out.view.bytes = out.bytes.size();
  return out;
}

Replaced::~Replaced() { (void)restore(); }

Result<void> Replaced::put(std::span<const TensorView> tensors) {
  for (const TensorView& t : tensors) {
    if (std::ranges::find(own_, t.name, &TensorView::name) == own_.end()) own_.push_back({.name = t.name});
  }
  return model_.replace(tensors);
}

Result<void> Replaced::restore() {
  if (own_.empty()) return {};
  const std::vector<TensorView> own = std::exchange(own_, {});
  return model_.replace(own);
}

}  // namespace miao::compress
