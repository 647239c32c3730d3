// NpyWriter: a float32 matrix (rows, cols) as a NumPy .npy file, written row by row as the rows become known.
//
//   "\x93NUMPY" 1 0 | u16 length | {'descr': '<f4', 'fortran_order': False, 'shape': (rows, cols), } spaces \n | values
//
// The header takes 128 bytes, so that finish() can put the row count into it. The file is an AtomicFile: a reader sees
// the old or the whole new array, and an abandoned writer leaves nothing behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace miao::io {

// The 128 bytes in front of the values, for an array that goes to a stream.
std::string npy_header(int64_t rows, int64_t cols);

class NpyWriter {
 public:
  static Result<NpyWriter> create(const std::filesystem::path& path, int64_t cols);  // cols >= 1

  // Whole rows: the size is a multiple of cols.
  Result<void> append(std::span<const float> values);
  // Completes the header, flushes to the disk and renames into place. Nothing may follow.
  Result<void> finish();
  int64_t rows() const { return rows_; }

 private:
  NpyWriter(AtomicFile file, int64_t cols) : file_(std::move(file)), cols_(cols) {}

  AtomicFile file_;
  int64_t rows_ = 0, cols_ = 0;
};

// A whole array at once; values.size() is a multiple of cols.
Result<void> write_npy(const std::filesystem::path& path, std::span<const float> values, int64_t cols);

struct Matrix {  // (rows, cols) in row order
  int64_t rows = 0, cols = 0;
  std::vector<float> values;
  std::span<const float> row(int64_t i) const { return {values.data() + i * cols, static_cast<size_t>(cols)}; }
};

// Reads a one- or two-dimensional float32 array (one dimension: a single row). Errors: io, unsupported, corrupt.
Result<Matrix> read_npy(const std::filesystem::path& path);

}  // namespace miao::io
