// Quantising a model: from a GGUF file of full precision to one in a mix of types.
//
//   tensors -> types (recipe.h) -> new bytes, by rounding.h or layer by layer with layers.h -> GGUF with checksums,
//   canary
//
// Nothing stands under the final name before all of it is written and has run once.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compress/importance.h"
#include "compress/recipe.h"
#include "compress/rounding.h"
#include "io/checkpoint.h"
#include "kernels/kv.h"

namespace miao::compress {

// What an architecture's tensors are to a recipe. Errors: those of an unsupported architecture or a broken file.
Result<Anatomy> anatomy_of(const io::Checkpoint& model);
// The number of the block that a tensor belongs to, or kOutside. Those outside are written last: the output matrix is
// rounded on what all blocks give.
constexpr int64_t kOutside = INT64_MAX - 1;
int64_t block_of(std::string_view tensor);
// As a GGUF file has them, in the order in which quantize() writes.
Result<std::vector<Subject>> subjects_of(const io::Checkpoint& model);

struct QuantizeOptions {
  Recipe recipe;
  RecipeOptions choice;
  Rounding rounding = Rounding::least_squares;
  // By names of this file; tensors that it lacks go without. Beside `calibration` it is for scaling alone.
  const Importance* importance = nullptr;
  std::span<const std::vector<int32_t>> calibration;  // windows or texts, of tokens: blocks are rounded by GPTQ
  // Scale columns first (fold.h), by the importance or what calibration finds to be it, where either is there and the
  // model can be scaled: what stands in the way of that is logged, and its columns stay as they are.
  bool scale = false;
  bool requantize = false;  // take weights that are quantised already
  bool canary = true;
  std::optional<kernels::KvType> kv;  // that the file asks for (models::kKvKey); unset = as the model's file does
  std::string writer;                 // "miao 0.1.0"
  std::string calibrated_on;          // what the calibration text was, for the file's metadata
  int threads = 0;
  std::function<void(std::string_view what, uint64_t done, uint64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

struct QuantizedTensor {
  std::string name;
  std::vector<int64_t> shape;
  DType from, to, wished;  // wished: by the recipe, where the shape did not allow it
  uint64_t bytes_before = 0, bytes = 0;
};
struct Quantized {
  std::vector<QuantizedTensor> tensors;  // in the order of the file
  uint64_t bytes_before = 0, bytes = 0;  // of all tensors' data
  int64_t weights = 0;
  bool scaled = false;
  std::string canary;  // its digest, or empty
  double bits() const { return weights > 0 ? 8.0 * static_cast<double>(bytes) / static_cast<double>(weights) : 0; }
};

// The types that quantize() would give, and the bytes; of files of any kind.
Result<Quantized> plan_types(const io::Checkpoint& model, const QuantizeOptions& options);

// The file that quantize() would write, hollow (io/checkpoint.h).
Result<io::Checkpoint> planned_model(const io::Checkpoint& model, const Quantized& types);

// Writes `out`. `model` is a GGUF file (gguf_copy.h makes one of others). Errors: invalid for weights that are
// quantised already (without `requantize`) or are no numbers (the tensor and row are named), io, cancelled.
Result<Quantized> quantize(const io::Checkpoint& model, const std::filesystem::path& out,
                           const QuantizeOptions& options);

}  // namespace miao::compress
