// NumPy .npy files of little-endian float32 matrices in row order: what `miao logits` writes and golden tests read.
//
//   "\x93NUMPY" 1 0 | header length (2 bytes) | {'descr': '<f4', 'fortran_order': False, 'shape': (rows, cols), } |
//   data
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"

namespace miao::runtime {

struct Matrix {
  int64_t rows = 0, cols = 0;
  std::vector<float> values;
  std::span<const float> row(int64_t i) const { return {values.data() + i * cols, static_cast<size_t>(cols)}; }
};

// Reads a one- or two-dimensional float32 array (one dimension: a single row). Errors: io, unsupported, corrupt.
Result<Matrix> read_npy(const std::filesystem::path& path);

// Writes rows one by one to a temporary file beside `path`, which finish() renames; without finish() nothing is left.
class NpyWriter {
 public:
  static Result<NpyWriter> create(const std::filesystem::path& path, int64_t rows, int64_t cols);
  NpyWriter(NpyWriter&&) = default;
  ~NpyWriter();

  Result<void> add(std::span<const float> row);  // cols values
  Result<void> finish();                         // after exactly `rows` rows

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  NpyWriter() = default;
  Error failed() const;

  std::filesystem::path path_, temporary_;
  std::unique_ptr<std::FILE, Close> file_;
  int64_t rows_left_ = 0, cols_ = 0;
};

}  // namespace miao::runtime
