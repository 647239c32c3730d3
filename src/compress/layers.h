// Quantising a decoder or an encoder layer by layer: each layer is calibrated on what the layers before it give *after*
// they have been quantised, so that later ones make up for earlier ones too.
//
//   for each layer:   x -> layer as it is, moments of what its matrices read -> GPTQ -> layer with new weights -> x
//
// Besides the model, memory holds x of all windows, the moments of one layer and its new weights.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/blockwise.h"
#include "tensor/dtype.h"

namespace miao::compress {

struct LayersOptions {
  double damp = 0.01;                                // Feedback::of
  std::function<Result<void>(int64_t layers)> done;  // so many layers; an Error ends the work
  const std::atomic<bool>* cancel = nullptr;
};

// `type` gives the format of each matrix by its name in the file (a GGUF one); a floating one leaves it as it is.
// `take` gets the new bytes of the others, layer by layer, then those of the output matrix or of an encoder's head.
// Experts that share a tensor, each of which reads few rows, are rounded with importance alone. Errors: those of
// encode_gptq and of Blockwise::run_blocks; what `take` says.
using TypeOf = std::function<DType(std::string_view tensor)>;
using Take = std::function<Result<void>(std::string_view tensor, DType dtype, std::span<const std::byte> bytes)>;
Result<void> quantize_layers(runtime::Blockwise& model, std::span<const std::vector<int32_t>> windows,
                             const TypeOf& type, const Take& take, const LayersOptions& options);

}  // namespace miao::compress
