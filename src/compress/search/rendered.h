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
#include "runtime/engine.h"

namespace miao::compress {

struct Rendered {
  TensorView view;
  std::vector<std::byte> bytes;
  double error = 0;  // see sensitivity.h
};
Result<Rendered> render(runtime::Engine& engine, const TensorView& source, DType type, const RoundOptions& options);

// The model with some matrices replaced, until the end of the scope or restore().
class Replaced {
 public:
  explicit Replaced(runtime::Engine& engine) : engine_(engine) {}
  ~Replaced();
  Replaced(const Replaced&) = delete;
  Replaced& operator=(const Replaced&) = delete;

  Result<void> put(std::span<const TensorView> tensors);
  Result<void> restore();

 private:
  runtime::Engine& engine_;
  std::vector<TensorView> own_;  // names
};

}  // namespace miao::compress
