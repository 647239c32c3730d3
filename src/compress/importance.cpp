#include "compress/importance.h"

#include <algorithm>

#include "base/check.h"
#include "io/checkpoint.h"
#include "kernels/table.h"

namespace miao::compress {

std::vector<float> Importance::mean(std::string_view tensor, int64_t index) const {
  const auto at = inputs_.find(tensor);
  if (at == inputs_.end()) return {};
  const Input& input = at->second;
  const auto i = static_cast<size_t>(input.count.size() == 1 ? 0 : index), cols = static_cast<size_t>(input.cols);
  if (i >= input.count.size() || input.count[i] <= 0) return {};
  std::vector<float> out(cols);
  for (size_t c = 0; c < cols; ++c) out[c] = static_cast<float>(input.sum2[i * cols + c] / input.count[i]);
  return out;
}

void Importance::add(std::string_view tensor, int64_t matrix, int64_t matrices, const float* values, int64_t rows,
                     int64_t cols, int64_t stride) {
  auto at = inputs_.find(tensor);
  if (at == inputs_.end()) {
    at = inputs_.emplace(std::string(tensor), Input{.cols = cols}).first;
    at->second.sum2.resize(static_cast<size_t>(matrices * cols));
    at->second.count.resize(static_cast<size_t>(matrices));
  }
  Input& input = at->second;
  MIAO_CHECK(input.cols == cols && matrix < static_cast<int64_t>(input.count.size()));
  double* const sum = input.sum2.data() + matrix * cols;
  for (int64_t r = 0; r < rows; ++r) {
    const float* const x = values + r * stride;
    for (int64_t c = 0; c < cols; ++c) sum[c] += double{x[c]} * double{x[c]};
  }
  input.count[static_cast<size_t>(matrix)] += static_cast<double>(rows);
}

void Importance::count_text(int64_t chunks, int64_t chunk_size) {
  chunks_ += chunks;
  chunk_size_ = chunk_size;
}

void Importance::scale(std::string_view tensor, std::span<const float> factors) {
  const auto at = inputs_.find(tensor);
  if (at == inputs_.end()) return;
  std::vector<double>& sums = at->second.sum2;
  for (size_t i = 0; i < sums.size(); ++i) {
    const double f = factors[i % factors.size()];
    sums[i] /= f * f;
  }
}

void Importance::round() {
  for (auto& [name, input] : inputs_) {
    for (double& v : input.sum2) v = double{static_cast<float>(v)};
    for (double& v : input.count) v = double{static_cast<float>(v)};
  }
}

Result<Importance> measure_importance(runtime::Blockwise& model, std::span<const std::vector<int32_t>> windows,
                                      const std::function<void(int64_t)>& done, const std::atomic<bool>* cancel) {
  if (windows.empty()) return Error{Code::invalid, "there is no calibration text", {}};
  Importance out;
  model.tap_reads([&](std::span<const runtime::Blockwise::Reader> readers, const float* values, int64_t rows,
                      int64_t cols, int64_t stride) {
    std::string_view before;  // q, k and v may stand in one tensor
    for (const runtime::Blockwise::Reader& reader : readers) {
      if (reader.tensor == before) continue;
      before = reader.tensor;
      const TensorView* const t = model.checkpoint().find(reader.tensor);
      MIAO_CHECK(t);
      const bool experts = t->shape.size() > 2;
      out.add(reader.tensor, experts ? reader.row / t->shape[1] : 0, experts ? t->shape[0] : 1, values, rows, cols,
              stride);
    }
  });
  // Without the output matrix: its inputs are alike in all columns, and it is a fifth of the time.
  const int64_t ld = kernels::round_up(model.spec().dim, kernels::kLanes);
  Result<void> ran;
  std::vector<float> x;
  int64_t longest = 0;
  for (size_t i = 0; ran.ok() && i < windows.size(); ++i) {
    const auto rows = static_cast<int64_t>(windows[i].size());
    x.resize(static_cast<size_t>(std::max(longest, rows) * ld));
    ran = model.run_blocks(windows.subspan(i, 1), {.first = 0, .end = model.spec().layers, .out = x.data(), .ld = ld},
                           {}, cancel);
    longest = std::max(longest, rows);
    if (done) done(static_cast<int64_t>(i) + 1);
  }
  model.tap_reads({});
  MIAO_CHECK_OK(ran);
  out.count_text(static_cast<int64_t>(windows.size()), longest);
  out.round();
  return out;
}

}  // namespace miao::compress
