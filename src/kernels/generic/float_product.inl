// Products of the float weight formats F32, F16 and BF16 with FP32 activations.
//
// Packed block: [cols][16 rows] in the file's own element type, each block rounded up to 64 bytes.
// y[token][row] is one chain of fused multiply-adds over k in rising order, whatever the number of tokens: lanes are
// rows, so a tile of B blocks by T tokens keeps B * T independent chains in registers.
//
// One token streams several blocks at once. Many tokens go through chunks of K: 16-bit weights of a tile's blocks are
// widened once a chunk to scratch, the tokens sweep over them, and partial sums wait in y.

#include "kernels/generic/parts.h"

namespace miao::kernels::MIAO_ISA {
namespace {

constexpr int64_t kChunk = 256;  // of K: two widened blocks are 32 KiB

// y[t][16 b ..] (+)= over k < count of x[t][k] * w[b][k][16].
template <int B, int T, class E>
void tile(const E* w, int64_t block_stride, const float* x, int64_t ldx, int64_t count, bool more, float* y,
          int64_t ldy) {
  Vec acc[B][T];
  const E* from[B];
  MIAO_UNROLL for (int b = 0; b < B; ++b) {
    from[b] = w + b * block_stride;
    MIAO_UNROLL for (int t = 0; t < T; ++t) acc[b][t] = more ? load(y + t * ldy + b * 16) : set1(0.0f);
  }
  for (int64_t k = 0; k < count; ++k) {
    Vec weight[B];
    MIAO_UNROLL for (int b = 0; b < B; ++b) weight[b] = load(from[b] + k * 16);
    MIAO_UNROLL for (int t = 0; t < T; ++t) {
      const Vec a = set1(x[t * ldx + k]);
      MIAO_UNROLL for (int b = 0; b < B; ++b) acc[b][t] = fma(a, weight[b], acc[b][t]);
    }
  }
  MIAO_UNROLL for (int b = 0; b < B; ++b) {
    MIAO_UNROLL for (int t = 0; t < T; ++t) store(y + t * ldy + b * 16, acc[b][t]);
  }
}

// All tokens over one chunk of B blocks.
template <int B, class E>
void sweep(const E* w, int64_t block_stride, const Activations& in, int64_t k, int64_t count, float* y, int64_t ldy) {
  const float* x = in.x + k;
  int64_t t = 0;
  const auto pass = [&](auto function, int64_t tokens) {
    for (; t + tokens <= in.rows; t += tokens) {
      function(w, block_stride, x + t * in.ldx, in.ldx, count, k > 0, y + t * ldy, ldy);
    }
  };
  if constexpr (kTileTokens >= 12) {
    pass(tile<B, 12, E>, 12);
    pass(tile<B, 8, E>, 8);
  }
  pass(tile<B, 6, E>, 6);
  pass(tile<B, 4, E>, 4);
  pass(tile<B, 2, E>, 2);
  pass(tile<B, 1, E>, 1);
}

template <class E>
int64_t block_stride(int64_t cols) {
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(E));
  return (cols * 16 + kLine - 1) / kLine * kLine;
}

template <int B, class E>
const float* widen_blocks(const E* w, int64_t stride, int64_t count, float* to) {
  for (int b = 0; b < B; ++b) {
    for (int64_t k = 0; k < count; ++k) store(to + (b * kChunk + k) * 16, load(w + b * stride + k * 16));
  }
  return to;
}

template <int B, class E>
void chunk(const E* w, int64_t stride, const Activations& in, int64_t k, int64_t count, float* y, int64_t ldy,
           float* scratch) {
  if constexpr (sizeof(E) < sizeof(float)) {
    if (in.rows > kTileTokens) {
      const float* wide = widen_blocks<B>(w + k * 16, stride, count, scratch);
      return sweep<B>(wide, kChunk * 16, in, k, count, y, ldy);
    }
  }
  sweep<B>(w + k * 16, stride, in, k, count, y, ldy);
}

template <class E>
void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
         void* scratch) {
  const E* w = static_cast<const E*>(packed);
  const int64_t stride = block_stride<E>(cols);
  if (in.rows == 1) {
    int64_t b = 0;
    const auto pass = [&](auto function, int64_t step) {
      for (; b + step <= blocks; b += step) function(w + b * stride, stride, in.x, 0, cols, false, y + b * 16, 0);
    };
    pass(tile<kGemvBlocks, 1, E>, kGemvBlocks);
    if constexpr (kGemvBlocks > 4) pass(tile<4, 1, E>, 4);
    if constexpr (kGemvBlocks > 2) pass(tile<2, 1, E>, 2);
    pass(tile<1, 1, E>, 1);
    return;
  }
  // Chunks outside, so that their activations stay in cache while all blocks pass.
  for (int64_t k = 0; k < cols; k += kChunk) {
    const int64_t count = cols - k < kChunk ? cols - k : kChunk;
    int64_t b = 0;
    for (; b + kTileBlocks <= blocks; b += kTileBlocks) {
      chunk<kTileBlocks>(w + b * stride, stride, in, k, count, y + b * 16, ldy, static_cast<float*>(scratch));
    }
    if constexpr (kTileBlocks > 1) {
      for (; b < blocks; ++b)
        chunk<1>(w + b * stride, stride, in, k, count, y + b * 16, ldy, static_cast<float*>(scratch));
    }
  }
}

template <class E>
int64_t block_bytes(int64_t cols) {
  return block_stride<E>(cols) * static_cast<int64_t>(sizeof(E));
}

template <class E>
int64_t scratch_bytes(int64_t) {
  return sizeof(E) < sizeof(float) ? kTileBlocks * kChunk * 16 * static_cast<int64_t>(sizeof(float)) : 0;
}

template <class E>
void pack(const void* const rows[kLanes], int64_t cols, void* dst) {
  constexpr size_t kSize = sizeof(E);
  char* out = static_cast<char*>(dst);
  __builtin_memset(dst, 0, static_cast<size_t>(block_bytes<E>(cols)));
  for (int r = 0; r < kLanes; ++r) {
    const char* row = static_cast<const char*>(rows[r]);  // of any alignment
    if (row == nullptr) continue;
    for (int64_t k = 0; k < cols; ++k) __builtin_memcpy(out + (k * 16 + r) * kSize, row + k * kSize, kSize);
  }
}

template <class E>
MatMul product(const char* name) {
  MatMul m;
  m.gemv = m.gemm = name;
  m.integer = false;
  m.block_bytes = block_bytes<E>;
  m.pack = pack<E>;
  m.run = run<E>;
  m.scratch_bytes = scratch_bytes<E>;
  return m;
}

}  // namespace

void fill_float(Kernels& table) {
  table.matmul[static_cast<size_t>(DType::f32)] = product<float>("f32." MIAO_ISA_NAME);
  table.matmul[static_cast<size_t>(DType::f16)] = product<F16>("f16." MIAO_ISA_NAME);
  table.matmul[static_cast<size_t>(DType::bf16)] = product<BF16>("bf16." MIAO_ISA_NAME);
}

}  // namespace miao::kernels::MIAO_ISA
