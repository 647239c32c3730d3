#include "compress/search/streams.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "graph/context.h"
#include "io/checkpoint.h"
#include "measure/divergence.h"
#include "runtime/classify.h"

namespace miao::compress {

using models::HeadSpec;
using models::ModelSpec;
using runtime::Blockwise;
using runtime::Logits;

namespace {

// Half the squared distance between two vectors at length 1.
double apart(std::span<const float> a, std::span<const float> b) {
  double aa = 0, bb = 0, sum = 0;
  for (size_t i = 0; i < a.size(); ++i) aa += double{a[i]} * double{a[i]}, bb += double{b[i]} * double{b[i]};
  const double na = 1 / std::sqrt(aa), nb = 1 / std::sqrt(bb);
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = double{a[i]} * na - double{b[i]} * nb;
    sum += d * d;
  }
  return sum / 2;
}

}  // namespace

Streams::Streams(Blockwise& model, std::span<const std::vector<int32_t>> windows, const std::atomic<bool>* cancel)
    : model_(model), windows_(windows), cancel_(cancel), ld_(kernels::round_up(model.spec().dim, kernels::kLanes)) {
  size_t tokens = 0;
  for (const auto& window : windows) tokens += window.size();
  x_.resize(static_cast<size_t>(ld_) * tokens);
}

Result<void> Streams::advance() {
  MIAO_CHECK(block_ + 1 < model_.spec().layers);
  const graph::Blocks one{
      .first = block_, .end = block_ + 1, .in = block_ > 0 ? x_.data() : nullptr, .out = x_.data(), .ld = ld_};
  MIAO_CHECK_OK(model_.run_blocks(windows_, one, {}, cancel_));
  ++block_;
  return {};
}

Result<void> Streams::results(const Blockwise::Sink& take) {
  const graph::Blocks rest{
      .first = block_, .end = model_.spec().layers, .in = block_ > 0 ? x_.data() : nullptr, .ld = ld_};
  return model_.run_blocks(windows_, rest, take, cancel_);
}

Result<Base::Kind> Base::kind_of(Blockwise& model) {
  const HeadSpec& head = model.spec().head;
  if (model.spec().shape == ModelSpec::Shape::decoder) return Kind::tokens;
  if (head.task == HeadSpec::Task::embedding) return Kind::vectors;
  if (head.task == HeadSpec::Task::sequence) {
    MIAO_TRY(const auto scale, runtime::class_scale(static_cast<const runtime::Encoder&>(model)));
    if (scale == runtime::ClassScale::softmax) return Kind::one_class;
    if (scale == runtime::ClassScale::logistic) return Kind::each_class;
  }
  return Error{Code::unsupported, "gives neither vectors nor classes of texts; miao quantize rounds it",
               model.checkpoint().path().string()};
}

Result<void> Base::each_row(Blockwise& model, Streams& streams, const Each& body) const {
  std::vector<std::vector<float>> scratch(static_cast<size_t>(model.pool().threads()));
  std::atomic<bool> numbers{true};
  MIAO_CHECK_OK(streams.results([&](int64_t first, const Logits& rows) -> Result<void> {
    model.pool().run([&](Worker& worker) {
      std::vector<float>& own = scratch[static_cast<size_t>(worker.index)];
      own.resize(2 * static_cast<size_t>(rows.vocab()));
      const Range part = worker.split(rows.rows());
      for (int64_t i = part.begin; i < part.end; ++i) {
        const std::span<const float> values = rows.row(i);
        if (!std::ranges::all_of(values, [](float x) { return std::isfinite(x); })) numbers = false;
        body(static_cast<size_t>(first + i), values, own);
      }
    });
    return {};
  }));
  if (numbers) return {};
  return Error{Code::corrupt, "the model gives results that are no numbers; its file may be damaged",
               model.checkpoint().path().string()};
}

Result<Base> Base::of(Blockwise& model, Streams& streams, std::span<const std::vector<int32_t>> windows) {
  Base out;
  MIAO_TRY(out.kind_, kind_of(model));
  const ModelSpec& spec = model.spec();
  const bool pooled = spec.shape == ModelSpec::Shape::encoder && spec.head.pooled();
  const int64_t cols = spec.shape == ModelSpec::Shape::decoder ? spec.vocab : spec.head.outputs;
  out.cols_ = static_cast<size_t>(cols > 0 ? cols : spec.dim);
  size_t rows = 0;
  for (const auto& window : windows) rows += out.of_window_.emplace_back(pooled ? 1 : window.size());
  out.rows_.resize(rows * out.cols_);
  out.log_sums_.resize(rows);
  MIAO_CHECK_OK(out.each_row(model, streams, [&](size_t row, std::span<const float> values, std::span<float> scratch) {
    std::ranges::copy(values, out.rows_.begin() + static_cast<std::ptrdiff_t>(row * out.cols_));
    if (out.kind_ == Kind::tokens)
      out.log_sums_[row] = measure::view(model.context().kernels, values, 0, scratch.first(out.cols_)).log_sum;
  }));
  return out;
}

double Base::distance(const kernels::Kernels& k, size_t at, std::span<const float> other,
                      std::span<float> scratch) const {
  const std::span<const float> base = row(at);
  if (kind_ == Kind::vectors) return apart(base, other);
  if (kind_ == Kind::one_class) return measure::kl_of_one_class(base, other);
  if (kind_ == Kind::each_class) return measure::kl_of_each_class(base, other);
  const auto p = scratch.first(cols_), q = scratch.subspan(cols_);
  measure::view(k, base, 0, p);
  const measure::TokenView view = measure::view(k, other, 0, q);
  return measure::divergence(base, log_sums_[at], p, other, view.log_sum, q).kl;
}

Result<std::vector<double>> Base::divergence(Blockwise& model, Streams& streams) const {
  std::vector<double> of_rows(log_sums_.size()), out;
  MIAO_CHECK_OK(each_row(model, streams, [&](size_t row, std::span<const float> values, std::span<float> scratch) {
    of_rows[row] = distance(model.context().kernels, row, values, scratch);
  }));
  size_t row = 0;
  for (const size_t rows : of_window_) {
    double sum = 0;
    for (const size_t end = row + rows; row < end; ++row) sum += of_rows[row];
    out.push_back(sum / static_cast<double>(rows));
  }
  return out;
}

}  // namespace miao::compress
