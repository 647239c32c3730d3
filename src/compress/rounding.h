// Rounding of float weights into the number formats of tensor/dtype.h: the encoders opposite to its decoders.
//
// Blocks have the byte layout of ggml, and what the decoder gives back is what was meant here. A row is whole blocks.
// Three ways to choose the scales of a block:
//
//   nearest        From the largest values, without a search: the bytes of llama.cpp's reference encoders for Q8_0,
//   Q4_0,
//                  Q4_1, Q5_0, Q5_1, MXFP4, F16 and BF16.
//   least_squares  A search for the scales with the least squared error, where a value's weight grows a little with its
//                  size (compress/rounding/weights.h).
//   importance     The same search, weighted with the mean squared input of each column too: the error that is
//   minimised
//                  is about that of the product with real activations. This is what quantised models should be made
//                  with.
//
// The scales that llama.cpp's encoder stores are among the starts of the searches (compress/rounding/reference.h): the
// weighted error of a block is never larger than that of its bytes. tools/compare_rounding.py and the tests compare
// them. Results are a function of the arguments alone: neither threads nor the instruction set matter.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/result.h"
#include "tensor/dtype.h"

namespace miao {
class ThreadPool;
}

namespace miao::compress {

enum class Rounding : uint8_t { nearest, least_squares, importance };

bool can_encode(DType dtype);

// dst[0..row_bytes(dtype, n)) = the n values at src. `importance`: mean squared input of each column, n of them, for
// Rounding::importance; empty otherwise. Columns at zero count a little; where all are zero, least_squares takes over.
// Errors: unsupported (no such encoder, n is not whole blocks), invalid (a value that is not finite or beyond the range
// of the format, with its index; importance of another length, or negative or not finite).
Result<void> encode_row(DType dtype, Rounding method, std::span<const float> src, std::span<const float> importance,
                        std::byte* dst);

struct MatrixOptions {
  Rounding method = Rounding::least_squares;
  std::span<const float> importance;                // as in encode_row; holds for all rows
  int64_t first_row = 0;                            // number of the first one, for Errors
  const std::atomic<bool>* cancel = nullptr;        // looked at before each row
  std::function<void(int64_t rows_done)> progress;  // called by the calling thread now and then
};

// All rows of src (rows, cols) one after the other at dst, on the threads of the pool. Errors: those of encode_row, of
// the first row that has one, with its number; cancelled.
Result<void> encode_matrix(DType dtype, std::span<const float> src, int64_t cols, const MatrixOptions& options,
                           ThreadPool& pool, std::byte* dst);

}  // namespace miao::compress
