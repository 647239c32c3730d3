#include "graph/ops/input.h"

#include <algorithm>

#include "base/check.h"

namespace miao::graph {

using kernels::GroupMeta;
using kernels::kGroup;
using kernels::round_up;

Input::Input(const Linear& linear, std::optional<Norm> norm, const Buffer* source)
    : source_(source), norm_(norm), cols_(linear.cols()) {
  MIAO_CHECK(source->cols >= cols_ && (!norm || norm->size == cols_));
  if (norm) ldx_ = round_up(cols_, kernels::kLanes);
  if (linear.reads_codes()) {
    MIAO_CHECK(cols_ % kGroup == 0);
    ldq_ = round_up(cols_, 64) + 64;  // an odd number of lines: rows spread over all cache sets
    if (ldq_ % 128 == 0) ldq_ += 64;
  }
}

Input::Layout Input::layout(int64_t rows) const {
  const int64_t padded = round_up(rows, 16);
  Layout l;
  l.q = round_up(rows * ldx_ * static_cast<int64_t>(sizeof(float)), 64);
  l.meta = l.q + padded * ldq_;
  l.bytes = l.meta + (ldq_ ? padded * (cols_ / kGroup) * static_cast<int64_t>(sizeof(GroupMeta)) : 0);
  return l;
}

kernels::Activations Input::prepare(const Worker& worker, const StepIo& io) const {
  const int64_t rows = io.rows;
  const bool few = rows <= kFewRows;
  std::byte* const area = few ? io.own : io.shared;
  const Layout at = layout(rows);
  auto* const normed = reinterpret_cast<float*>(area);
  auto* const q = reinterpret_cast<int8_t*>(area + at.q);
  auto* const meta = reinterpret_cast<GroupMeta*>(area + at.meta);
  const int64_t ldm = cols_ / kGroup;

  kernels::Activations out;
  out.rows = rows;
  out.x = ldx_ ? normed : source_->data;
  out.ldx = ldx_ ? ldx_ : source_->stride;
  if (ldq_) {
    out.q = q;
    out.ldq = ldq_;
    out.meta = meta;
    out.ldm = ldm;
  }
  if (!ldx_ && !ldq_) return out;
  const Range mine = few ? Range{0, rows} : worker.split(rows);
  for (int64_t t = mine.begin; t < mine.end; ++t) {
    const float* x = source_->row(t);
    if (ldx_) {
      float* const y = normed + t * ldx_;
      io.kernels.rms_norm(x, norm_->weight, cols_, norm_->eps, y);
      x = y;
    }
    if (ldq_) io.kernels.quantize(x, cols_, q + t * ldq_, meta + t * ldm);
  }
  if (!few) worker.barrier();
  return out;
}

}  // namespace miao::graph
