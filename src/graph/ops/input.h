// Input: brings rows of a buffer into the forms that a Linear reads: normed, then quantised where a kernel reads codes,
// by whole rows where one reads row codes, and split where one reads parts.
//
//   area of n rows:   x (n, cols) FP32, if normed | kernels::Quantised of n rows | kernels::RowCodes |
//   kernels::FloatParts
//
// Few rows: every thread prepares all of them in its own memory, which is cheaper than a barrier. Many rows: the
// threads share the rows and meet at a barrier.
#pragma once

#include <cstdint>
#include <optional>

#include "graph/linear.h"
#include "graph/ops.h"
#include "graph/program.h"

namespace miao::graph {

class Input {
 public:
  Input(const Linear& linear, std::optional<Norm> norm, const Buffer* source);

  int64_t own_bytes() const { return layout(kernels::kFewRows).bytes; }
  int64_t shared_bytes(int64_t max_rows) const { return max_rows > kernels::kFewRows ? layout(max_rows).bytes : 0; }

  // What a product reads of a row before it goes on to other outputs, in one of its forms.
  int64_t row_bytes() const;

  // The first io.rows rows of the source. All threads call it. Uses the first own_bytes() of io.own.
  kernels::Activations prepare(const Worker& worker, const StepIo& io) const;

 private:
  struct Layout {
    int64_t codes = 0, row_codes = 0, parts = 0, bytes = 0;  // offsets of the codes; x is first
  };
  Layout layout(int64_t rows) const;

  const Linear& linear_;
  const Buffer* source_;
  std::optional<Norm> norm_;
  int64_t cols_;
  int64_t ldx_ = 0;  // of normed rows; 0 = the source's rows are read as they are
  bool codes_, row_codes_, parts_;
};

}  // namespace miao::graph
