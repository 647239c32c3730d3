// Importance: how large the inputs of each matrix are, column by column, on calibration text: what the search for block
// scales weighs errors with. llama.cpp calls it an importance matrix; its GGUF files (general.type "imatrix") are read
// and written.
//
//   <tensor>.in_sum2   F32 (matrices, cols)   sum of squares over all rows that the matrix read
//   <tensor>.counts    F32 (matrices, 1)      rows; a tensor of experts has a matrix for each
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/blockwise.h"

namespace miao::compress {

class Importance {
 public:
  struct Input {
    int64_t cols = 0;
    std::vector<double> sum2;   // (matrices, cols)
    std::vector<double> count;  // (matrices), rows
  };

  // Errors: corrupt or invalid for files that are none, or hold values that are no sums of squares.
  static Result<Importance> read(const std::filesystem::path& path);
  Result<void> write(const std::filesystem::path& path, const std::vector<std::string>& datasets) const;

  // Mean squares (cols) of what matrix `index` of a tensor read. Empty where nothing is known of the tensor or of it.
  std::vector<float> mean(std::string_view tensor, int64_t index = 0) const;
  const std::map<std::string, Input, std::less<>>& inputs() const { return inputs_; }
  bool empty() const { return inputs_.empty(); }

  // Rows that a matrix read. `matrices`: of the tensor.
  void add(std::string_view tensor, int64_t matrix, int64_t matrices, const float* values, int64_t rows, int64_t cols,
           int64_t stride);
  void count_text(int64_t chunks, int64_t chunk_size);
  // Columns of the tensor's matrices have grown by factors (cols), so that their inputs shrink as much.
  void scale(std::string_view tensor, std::span<const float> factors);
  // As a file holds them: what is read back is what was there.
  void round();

 private:
  std::map<std::string, Input, std::less<>> inputs_;
  int64_t chunks_ = 0, chunk_size_ = 0;
};

// Runs each window of tokens (or text of an encoder) through the model by itself. The names are those of the model's
// file. `done(windows)`. Errors: invalid for no windows, those of Blockwise::run_blocks.
Result<Importance> measure_importance(runtime::Blockwise& model, std::span<const std::vector<int32_t>> windows,
                                      const std::function<void(int64_t)>& done, const std::atomic<bool>* cancel);

}  // namespace miao::compress
