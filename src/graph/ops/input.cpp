#include "graph/ops/input.h"

#include <algorithm>

#include "base/check.h"

namespace miao::graph {

using kernels::FloatParts;
using kernels::kFewRows;
using kernels::kGroup;
using kernels::Quantised;
using kernels::round_up;
using kernels::RowCodes;

Input::Input(const Linear& linear, std::optional<Norm> norm, const Buffer* source)
    : linear_(linear),
      source_(source),
      norm_(norm),
      cols_(linear.cols()),
      codes_(linear.reads_codes()),
      row_codes_(linear.reads_row_codes()),
      parts_(linear.reads_parts()) {
  MIAO_CHECK(source->cols >= cols_ && (!norm || norm->size == cols_));
  if (norm) ldx_ = round_up(cols_, kernels::kLanes);
  MIAO_CHECK(!codes_ || cols_ % kGroup == 0);
}

Input::Layout Input::layout(int64_t rows) const {
  Layout l;
  l.codes = round_up(rows * ldx_ * static_cast<int64_t>(sizeof(float)), 64);
  l.row_codes = round_up(l.codes + (codes_ ? Quantised::bytes(rows, cols_) : 0), 64);
  l.parts = round_up(l.row_codes + (row_codes_ ? RowCodes::bytes(rows, cols_) : 0), 64);
  l.bytes = l.parts + (parts_ ? FloatParts::bytes(rows, cols_) : 0);
  return l;
}

int64_t Input::row_bytes() const {
  if (parts_) return FloatParts::bytes(1, std::min(cols_, FloatParts::kSlab));
  if (codes_) return Quantised::bytes(kernels::kTileRows, cols_) / kernels::kTileRows;
  return row_codes_ ? RowCodes::code_bytes(1, cols_) : cols_ * static_cast<int64_t>(sizeof(float));
}

kernels::Activations Input::prepare(const Worker& worker, const StepIo& io) const {
  const int64_t rows = io.rows;
  const bool few = rows <= kFewRows;
  std::byte* const area = few ? io.own : io.shared;

  kernels::Activations out{.x = source_->data, .ldx = source_->stride, .rows = rows};
  if (row_codes_) out.row_codes = RowCodes::at(area + layout(rows).row_codes, rows, cols_);
  if (parts_) out.parts = FloatParts::at(area + layout(rows).parts, rows, cols_);
  if (ldx_ || row_codes_ || parts_) {
    auto* const normed = reinterpret_cast<float*>(area);
    const Range mine = few ? Range{0, rows} : worker.split(rows);
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      const float* x = source_->row(t);
      if (ldx_) {
        norm_->apply(io.kernels, x, normed + t * ldx_);
        x = normed + t * ldx_;
      }
      if (row_codes_) io.kernels.quantize_row(x, linear_.factor(), cols_, out.row_codes, t);
      if (parts_) io.kernels.split_row(x, cols_, out.parts, t);
    }
    if (!few) worker.barrier();
    if (ldx_) {
      out.x = normed;
      out.ldx = ldx_;
    }
  }
  if (!codes_) return out;
  out.codes = Quantised::at(area + layout(rows).codes, rows, cols_);
  const int64_t units = quantize_units(rows, out.codes);
  const Range mine = few ? Range{0, units} : worker.split(units);
  for (int64_t unit = mine.begin; unit < mine.end; ++unit)
    quantize_unit(io.kernels, out.x, out.ldx, rows, out.codes, unit);
  if (!few) worker.barrier();
  return out;
}

}  // namespace miao::graph
