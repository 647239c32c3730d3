// Sensitivity: what a model loses when one of its matrices alone is in another type, and what it loses when all are.
//
//   loss(matrix, type) = act(matrix) + gain(matrix) * error(matrix, type)
//
// error: the squared difference to the weights as they are, each column times the mean square of its inputs: what the
// outputs of the product change by, measured for every type by rounding some rows of the weights. gain and act: from
// the divergence of the whole model's results (search/streams.h), measured with the matrix in a coarse type, and in
// Q8_0, whose weights are nearly the same but whose products round activations (of a decoder all of a block together,
// which share that). The divergence is of second order in a small change of weights (it is at its minimum), which is
// what makes it proportional to the error.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "compress/importance.h"
#include "runtime/blockwise.h"
#include "tensor/dtype.h"

namespace miao::compress {

struct TypeLoss {
  DType type;
  uint64_t bytes = 0;
  double error = 0;
  double loss = 0;  // divergence: nats a token, of vectors 1 - cosine
};
struct MatrixLoss {
  std::string tensor;
  int64_t layer = 0;  // or kOutside
  std::vector<int64_t> shape;
  DType probe = DType::q8_0;    // the type that it was measured in
  double probe_loss = 0;        // what that cost
  double act = 0;               // of products with rounded activations
  std::vector<TypeLoss> types;  // the first is the one that it has, without loss
};

struct LossOptions {
  std::function<void(int64_t done, int64_t total)> progress;  // of measurements
  const std::atomic<bool>* cancel = nullptr;
};

// Of all matrices of a GGUF model that can be rounded, in each of `types` that fits their rows. `windows`: tokens that
// are read for it (of an encoder: texts); all results are kept, of a decoder vocab * 4 bytes a token. Errors: those of
// Blockwise::run_blocks and round_tensor; unsupported for an encoder that gives neither vectors nor classes of texts.
Result<std::vector<MatrixLoss>> measure_sensitivity(runtime::Blockwise& model,
                                                    std::span<const std::vector<int32_t>> windows,
                                                    const Importance& importance, std::span<const DType> types,
                                                    const LossOptions& options);

// The loss of whole allocations, each of them a type for some tensors: mean divergence of each window.
using TypesByName = std::map<std::string, DType, std::less<>>;
Result<std::vector<std::vector<double>>> measure_losses(runtime::Blockwise& model,
                                                        std::span<const std::vector<int32_t>> windows,
                                                        const Importance& importance,
                                                        std::span<const TypesByName> allocations,
                                                        const LossOptions& options);

}  // namespace miao::compress
