// A Hugging Face model in another floating type: the same tensors under the same names in one model.safetensors, beside
// copies of its other files. Numbers that are no weights (positions, masks) stay as they are.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "compress/quantize.h"
#include "io/checkpoint.h"

namespace miao::compress {

// Whether safetensors files hold weights of the type.
bool is_float_type(DType dtype);

// The tensors that copy_as() would write.
Result<Quantized> plan_float_copy(const io::Checkpoint& model, DType to);

// Writes the folder, which is made where its parent is there; the weights last. Of the options: writer, threads,
// progress, cancel. Errors: unsupported for models that are not in a Hugging Face directory, invalid where the folder
// is the model's own and for weights that are no numbers or beyond the range of the type, io, cancelled.
Result<Quantized> write_float_copy(const io::Checkpoint& model, const std::filesystem::path& folder, DType to,
                                   const QuantizeOptions& options);

}  // namespace miao::compress
