// C functions of compress/rounding.h for tools/compare_rounding.py, which compiles this into a shared library and loads it
// beside ggml's.
#include <cstdio>

#include "compress/rounding.h"

extern "C" {

// (rows, cols) floats to blocks of the ggml type `type`; importance: cols floats or null. Returns 0, or 1 and says why.
int miao_encode(unsigned type, int method, const float* x, long rows, long cols, const float* importance, std::byte* dst) {
  const miao::DType dtype = *miao::dtype_from_gguf(type);
  const size_t n = static_cast<size_t>(cols);
  for (long r = 0; r < rows; ++r) {
    auto done = miao::compress::encode_row(dtype, static_cast<miao::compress::Rounding>(method), {x + r * cols, n},
                                           {importance, importance ? n : 0}, dst + r * miao::row_bytes(dtype, cols));
    if (!done.ok()) return std::fprintf(stderr, "%s\n", done.error().str().c_str()), 1;
  }
  return 0;
}

void miao_decode(unsigned type, const void* src, float* dst, long n) {
  miao::format(*miao::dtype_from_gguf(type)).decode(src, dst, n);
}
}
