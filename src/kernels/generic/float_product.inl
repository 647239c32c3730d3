// Products of the float weight formats F32, F16 and BF16 with FP32 activations.
//
// Packed block: [cols][16 rows] in the file's own element type, each block rounded up to 64 bytes.
// y[token][row] is one chain of fused multiply-adds over k in rising order, whatever the number of tokens: lanes are
// rows, so a tile of B blocks by T tokens keeps B * T independent chains in registers.
//
// Few tokens (up to one tile) stream the weights once from end to end, several blocks at a time. More tokens go through
// chunks of K: 16-bit weights of a tile's blocks are widened once a chunk to scratch, the tokens sweep over them, and
// partial sums wait in y.

#include "kernels/generic/parts.h"

namespace miao::kernels::MIAO_ISA {
namespace {

constexpr int64_t kChunk = 256;  // of K: two widened blocks are 32 KiB

// Weights of consecutive blocks, from some k on.
template <class E>
struct Panel {
  const E* w;
  int64_t stride;  // elements from block to block
};
// Activations and results of the tokens of a tile, from some k and block on.
struct Tokens {
  const float* x;
  int64_t ldx;
  float* y;
  int64_t ldy;
  int64_t count;  // of k
  bool more;      // y holds the sums of smaller k

  Tokens from(int64_t t) const { return {x + t * ldx, ldx, y + t * ldy, ldy, count, more}; }
};

template <int B, int T, class E>
MIAO_NOINLINE void tile(const Panel<E>& p, const Tokens& tokens) {
  const float* x = tokens.x;
  float* y = tokens.y;
  const int64_t ldx = tokens.ldx, ldy = tokens.ldy, count = tokens.count;
  Vec acc[B][T];
  const E* from[B];
  MIAO_UNROLL for (int b = 0; b < B; ++b) {
    from[b] = p.w + b * p.stride;
    MIAO_UNROLL for (int t = 0; t < T; ++t) acc[b][t] = tokens.more ? load(y + t * ldy + b * 16) : set1(0.0f);
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

// tile<B, n> for 1 <= n <= T.
template <int B, int T, class E>
void tile_of(int n, const Panel<E>& p, const Tokens& tokens) {
  if (n == T) return tile<B, T>(p, tokens);
  if constexpr (T > 1) tile_of<B, T - 1>(n, p, tokens);
}

template <class E>
int64_t block_stride(int64_t cols) {
  constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(E));
  return (cols * 16 + kLine - 1) / kLine * kLine;
}

// Up to kTileTokens tokens: every weight is read once, in order; B blocks at a time, then fewer.
template <int B, int T, class E>
void stream(const Panel<E>& p, int64_t blocks, int rows, const Tokens& tokens) {
  int64_t b = 0;
  for (; b + B <= blocks; b += B) {
    Tokens at = tokens;
    at.y += b * 16;
    tile_of<B, T>(rows, Panel<E>{p.w + b * p.stride, p.stride}, at);
  }
  if constexpr (B > 1) {
    if (b == blocks) return;
    Tokens at = tokens;
    at.y += b * 16;
    stream<B / 2, T>(Panel<E>{p.w + b * p.stride, p.stride}, blocks - b, rows, at);
  }
}

// All tokens over one chunk of B blocks, in tiles of nearly equal size.
template <int B>
void sweep(const Panel<float>& p, int64_t rows, const Tokens& tokens) {
  const int64_t tiles = (rows + kTileTokens - 1) / kTileTokens;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t t = rows * i / tiles;
    tile_of<B, kTileTokens>(static_cast<int>(rows * (i + 1) / tiles - t), p, tokens.from(t));
  }
}

template <int B, class E>
Panel<float> widen_blocks(const Panel<E>& p, int64_t count, float* to) {
  for (int b = 0; b < B; ++b) {
    for (int64_t k = 0; k < count; ++k) store(to + (b * kChunk + k) * 16, load(p.w + b * p.stride + k * 16));
  }
  return {to, kChunk * 16};
}
template <int B>
Panel<float> widen_blocks(const Panel<float>& p, int64_t, float*) {
  return p;
}

template <class E>
void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
         void* scratch) {
  const Panel<E> all{static_cast<const E*>(packed), block_stride<E>(cols)};
  const Tokens tokens{in.x, in.ldx, y, ldy, cols, false};
  const int rows = in.rows > kTileTokens ? kTileTokens + 1 : static_cast<int>(in.rows);
  if (rows < 1) return;
  if (rows == 1) return stream<kGemvBlocks, 1>(all, blocks, rows, tokens);
  if (rows <= kTileTokens / 2) return stream<2 * kTileBlocks, kTileTokens / 2>(all, blocks, rows, tokens);
  if (rows <= kTileTokens) return stream<kTileBlocks, kTileTokens>(all, blocks, rows, tokens);
  // Chunks outside, so that their activations stay in cache while all blocks pass.
  float* const wide = static_cast<float*>(scratch);
  for (int64_t k = 0; k < cols; k += kChunk) {
    const int64_t count = cols - k < kChunk ? cols - k : kChunk;
    const auto pass = [&]<int B>(int64_t b) {
      const Panel<E> p{all.w + b * all.stride + k * 16, all.stride};
      sweep<B>(widen_blocks<B>(p, count, wide), in.rows, Tokens{in.x + k, in.ldx, y + b * 16, ldy, count, k > 0});
    };
    int64_t b = 0;
    for (; b + kTileBlocks <= blocks; b += kTileBlocks) pass.template operator()<kTileBlocks>(b);
    for (; b < blocks; ++b) pass.template operator()<1>(b);
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
void unpack(const void* block, int64_t cols, int lane, float* row) {
  const E* from = static_cast<const E*>(block) + lane;
  for (int64_t k = 0; k < cols; k += 16) {
    const int count = cols - k < 16 ? static_cast<int>(cols - k) : 16;
    E part[16] = {};
    for (int i = 0; i < count; ++i) part[i] = from[(k + i) * 16];
    store_n(row + k, load(part), count);
  }
}

template <class E>
MatMul product(const char* name) {
  MatMul m;
  m.gemv = m.gemm = name;
  m.reads = Reads::values;
  m.block_bytes = block_bytes<E>;
  m.pack = pack<E>;
  m.unpack = unpack<E>;
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
