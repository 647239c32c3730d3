// Matrices of a loaded model in other types, in memory: put in the place of its own, looked at, and taken out again.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "compress/round_tensor.h"
#include "runtime/blockwise.h"

namespace miao::compress {

struct Rendered {
  TensorView view;
  std::vector<std::byte> bytes;
  double error = 0;  // see sensitivity.h
};
Result<Rendered> render(runtime::Blockwise& model, const TensorView& source, DType type, const RoundOptions& options);

// Of the same shape and type, with the first rows again and again: takes no time to make, and as long to compute with.
Result<Rendered> stand_in(runtime::Blockwise& model, const TensorView& source, DType type);

// Some rows of each matrix of a tensor, evenly, as a tensor of its own: for what is about ratios of errors.
struct Sample {
  TensorView view;
  std::vector<std::byte> bytes;
};
Sample sample_of(const TensorView& source);

// The model with some matrices replaced, until the end of the scope or restore().
class Replaced {
 public:
  explicit Replaced(runtime::Blockwise& model) : model_(model) {}
  ~Replaced();
  Replaced(const Replaced&) = delete;
  Replaced& operator=(const Replaced&) = delete;

  Result<void> put(std::span<const TensorView> tensors);
  Result<void> restore();

 private:
  runtime::Blockwise& model_;
  std::vector<TensorView> own_;  // names
};

}  // namespace miao::compress
