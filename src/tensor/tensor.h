// TensorView: a named, read-only, row-major array of some DType in memory that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace miao {

struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;       // outermost first: a weight is (out, in), an embedding (vocab, dim)
  const std::byte* data = nullptr;  // whole rows of blocks; may be unaligned
  uint64_t bytes = 0;

  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
  int64_t cols() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const { return cols() ? elements() / cols() : 0; }
  const std::byte* row(int64_t r) const { return data + r * row_bytes(dtype, cols()); }
};

}  // namespace miao
