// AMX, products of FP32 numbers by parts (generic/float_parts.inl): the tile unit multiplies bf16 and adds in FP32.
// 32 rows x 2 blocks of 16 outputs a pass, or up to 16 rows x 4 blocks: four sums, because a product takes 52 cycles
// and the next of its sum must wait. The sums start from y and go back to it, so that K can be cut into slabs whose
// activations stay in the L2 cache while all blocks pass.
#include <immintrin.h>

#include "kernels/generic/vec16_avx512.h"
//
#include "kernels/amx/tile_config.h"
#include "kernels/generic/parts.h"
#include "kernels/quant/parts_layout.h"
#include "kernels/tables.h"

namespace miao::kernels {
namespace amx {

// Tiles 0 - 3: sums. Several tiles of rows: 4, 5 activations, 6, 7 weights. One: 4 - 6 activations by part, 7 weights.
static void configure(int64_t height, bool one_tile) {
  TileConfig c;
  for (int i = 0; i < 8; ++i) {
    const bool weights = i == 7 || (i == 6 && !one_tile);
    c.bytes[i] = 64;
    c.rows[i] = static_cast<uint8_t>(weights ? 16 : height);
  }
  c.load();
}

// One slab of K of some blocks.
struct Slab {
  const uint16_t* w;  // of the first block
  int64_t stride;     // from block to block
  int64_t first;      // of its chunks of 32 of K
  int64_t count;
  bool last;  // of K
};

// What is fetched beside the work on a slab of B blocks of weights of W parts, some lines at a time: where more than
// one pass goes over the slab, that of the blocks that come next, to the L2 cache; else the chunk that comes next, to
// L1.
template <int W, int B>
struct Ahead {
  static constexpr int64_t kBytes = kPartStep<W> * 2;  // of a chunk of a block
  const char* next = nullptr;
  int64_t stride = 0, bytes = 0, left = 0;  // from block to block; at a time; of a block
  bool near = false;

  // `more`: there are blocks behind these.
  Ahead(const Slab& slab, int64_t passes, bool more) : stride(slab.stride * 2), near(passes == 1) {
    next = reinterpret_cast<const char*>(slab.w) + (near ? kBytes : B * stride);
    bytes = near ? kBytes : round_up((kBytes + passes - 1) / passes, 64);
    left = near ? (slab.count - 1) * kBytes : more ? slab.count * kBytes : 0;
  }
  inline void some() {
    if (left <= 0) return;
    MIAO_UNROLL for (int b = 0; b < B; ++b) {
      const char* const from = next + b * stride;
      if (near) {
        MIAO_UNROLL for (int64_t i = 0; i < kBytes; i += 64) _mm_prefetch(from + i, _MM_HINT_T0);
      } else {
        for (int64_t i = 0; i < bytes; i += 64) _mm_prefetch(from + i, _MM_HINT_T1);
      }
    }
    next += bytes;
    left -= bytes;
  }
};

// Where 16 columns of each block begin.
struct Place {
  float* p = nullptr;
  int64_t ld = 0;
};

// Sums of 2 tiles of rows x 2 blocks to out (32, 32), or of one x B blocks to (16, 16 * B). Macros, because the
// intrinsics want literal tile numbers.
#define MIAO_A(tile, r, part) _tile_loadd(tile, x + (r)*next_tile + (part)*part_step, 64)
#define MIAO_B(tile, b, part) _tile_loadd(tile, w + (b)*stride + part_offset<W>(part), 64)
#define MIAO_START(tile, r, b)                                                   \
  if (from.p) {                                                                  \
    _tile_loadd(tile, from.p + (r)*kTileRows * from.ld + 16 * (b), from.ld * 4); \
  } else {                                                                       \
    _tile_zero(tile);                                                            \
  }
#define MIAO_STORE(tile, r, b) _tile_stored(tile, to.p + (r)*kTileRows * to.ld + 16 * (b), to.ld * 4)

// Of two factors one changes from product to product.
template <int W, int S, int B>
static inline void two_tiles(const Slab& slab, const FloatParts& in, int64_t row, Ahead<W, B>& ahead, Place from,
                             Place to) {
  const int64_t stride = slab.stride, step = in.chunk_step(), part_step = in.part_step(), next_tile = in.chunks * step;
  const uint16_t *x = in.p + in.offset(row) + slab.first * step, *w = slab.w;
  MIAO_START(0, 0, 0)
  if constexpr (B > 1) {
    MIAO_START(1, 0, 1)
  }
  MIAO_START(2, 1, 0)
  if constexpr (B > 1) {
    MIAO_START(3, 1, 1)
  }
#define MIAO_LOAD_A(part) \
  MIAO_A(4, 0, part);     \
  MIAO_A(5, 1, part)
#define MIAO_LOAD_B(part) \
  MIAO_B(6, 0, part);     \
  if constexpr (B > 1) MIAO_B(7, 1, part)
#define MIAO_MULTIPLY                           \
  _tile_dpbf16ps(0, 4, 6);                      \
  if constexpr (B > 1) _tile_dpbf16ps(1, 4, 7); \
  _tile_dpbf16ps(2, 5, 6);                      \
  if constexpr (B > 1) _tile_dpbf16ps(3, 5, 7)
  for (int64_t c = 0; c < slab.count; ++c, x += step, w += kPartStep<W>) {
    ahead.some();
    if constexpr (W > 1) {
      MIAO_LOAD_A(0);
    }
    if constexpr (W > 2) {
      MIAO_LOAD_B(2);
      MIAO_MULTIPLY;
    }
    if constexpr (W > 1) {
      MIAO_LOAD_B(1);
      MIAO_MULTIPLY;
    }
    MIAO_LOAD_A(1);
    if constexpr (W > 1 && S > 1) {
      MIAO_MULTIPLY;
    }
    MIAO_LOAD_B(0);
    MIAO_MULTIPLY;
    if constexpr (S > 1) {
      MIAO_LOAD_A(2);
      MIAO_MULTIPLY;
    }
    MIAO_LOAD_A(0);
    MIAO_MULTIPLY;
  }
#undef MIAO_LOAD_A
#undef MIAO_LOAD_B
#undef MIAO_MULTIPLY
  MIAO_STORE(0, 0, 0);
  if constexpr (B > 1) MIAO_STORE(1, 0, 1);
  MIAO_STORE(2, 1, 0);
  if constexpr (B > 1) MIAO_STORE(3, 1, 1);
}

// The same order of products.
template <int W, int S, int B>
static inline void one_tile(const Slab& slab, const FloatParts& in, Ahead<W, B>& ahead, Place from, Place to) {
  const int64_t stride = slab.stride, step = in.chunk_step(), part_step = in.part_step(), next_tile = 0;
  const uint16_t *x = in.p + slab.first * step, *w = slab.w;
  MIAO_START(0, 0, 0)
  if constexpr (B > 1) {
    MIAO_START(1, 0, 1)
  }
  if constexpr (B > 2) {
    MIAO_START(2, 0, 2)
  }
  if constexpr (B > 3) {
    MIAO_START(3, 0, 3)
  }
#define MIAO_BLOCK(sum, b)         \
  if constexpr (B > (b)) {         \
    if constexpr (W > 2) {         \
      MIAO_B(7, b, 2);             \
      _tile_dpbf16ps(sum, 4, 7);   \
    }                              \
    if constexpr (W > 1) {         \
      MIAO_B(7, b, 1);             \
      _tile_dpbf16ps(sum, 4, 7);   \
      if constexpr (S > 1) {       \
        _tile_dpbf16ps(sum, 5, 7); \
      }                            \
    }                              \
    MIAO_B(7, b, 0);               \
    _tile_dpbf16ps(sum, 5, 7);     \
    if constexpr (S > 1) {         \
      _tile_dpbf16ps(sum, 6, 7);   \
    }                              \
    _tile_dpbf16ps(sum, 4, 7);     \
  }
  for (int64_t c = 0; c < slab.count; ++c, x += step, w += kPartStep<W>) {
    ahead.some();
    MIAO_A(4, 0, 0);
    MIAO_A(5, 0, 1);
    if constexpr (S > 1) {
      MIAO_A(6, 0, 2);
    }
    MIAO_BLOCK(0, 0)
    MIAO_BLOCK(1, 1)
    MIAO_BLOCK(2, 2)
    MIAO_BLOCK(3, 3)
  }
#undef MIAO_BLOCK
  MIAO_STORE(0, 0, 0);
  if constexpr (B > 1) MIAO_STORE(1, 0, 1);
  if constexpr (B > 2) MIAO_STORE(2, 0, 2);
  if constexpr (B > 3) MIAO_STORE(3, 0, 3);
}
#undef MIAO_A
#undef MIAO_B
#undef MIAO_START
#undef MIAO_STORE

// The first `rows` rows of B blocks.
template <int B>
static inline void copy_rows(const float* from, int64_t ld_from, int64_t rows, float* to, int64_t ld_to) {
  for (int64_t r = 0; r < rows; ++r) {
    MIAO_UNROLL for (int b = 0; b < B; ++b)
        _mm512_storeu_ps(to + r * ld_to + 16 * b, _mm512_loadu_ps(from + r * ld_from + 16 * b));
  }
}
template <int B>
static inline void add_rows(const float* sums, int64_t rows, const float* bias, float* to, int64_t ld) {
  __m512 addend[B];
  MIAO_UNROLL for (int b = 0; b < B; ++b) addend[b] = _mm512_loadu_ps(bias + 16 * b);
  for (int64_t r = 0; r < rows; ++r) {
    MIAO_UNROLL for (int b = 0; b < B; ++b)
        _mm512_storeu_ps(to + r * ld + 16 * b, _mm512_add_ps(_mm512_load_ps(sums + (r * B + b) * 16), addend[b]));
  }
}

// All rows x B blocks of a slab.
template <int W, int S, int B>
static void sweep(const Slab& slab, const Activations& in, const Addend& add, bool more, float* y, int64_t ldy) {
  alignas(64) float sums[4 * 16 * kTileRows];
  const bool one = in.rows <= kTileRows, to_y = add.y || slab.first > 0;
  const bool bias = add.bias != nullptr && slab.last;
  const int64_t passes = (in.rows + 2 * kTileRows - 1) / (2 * kTileRows);
  Ahead<W, B> ahead(slab, passes, more);
  for (int64_t r = 0; r < in.rows; r += 2 * kTileRows) {
    const int64_t left = in.rows - r, rows = left < 2 * kTileRows ? left : 2 * kTileRows;
    const bool whole = one || rows == 2 * kTileRows;
    float* const out = y + r * ldy;
    if (to_y && !whole) copy_rows<B>(out, ldy, rows, sums, 16 * B);
    __asm__ volatile("" : : : "memory");  // tile loads do not tell the compiler that they read memory
    const Place from = !to_y ? Place{} : whole ? Place{out, ldy} : Place{sums, 16 * B};
    const Place to = whole && !bias ? Place{out, ldy} : Place{sums, 16 * B};
    if (one) {
      one_tile<W, S, B>(slab, in.parts, ahead, from, to);
    } else if constexpr (B <= 2) {
      two_tiles<W, S, B>(slab, in.parts, r, ahead, from, to);
    }
    __asm__ volatile("" : : : "memory");
    if (bias) {
      add_rows<B>(sums, rows, add.bias, out, ldy);
    } else if (!whole) {
      copy_rows<B>(sums, 16 * B, rows, out, ldy);
    }
  }
}

template <int W, int S>
static void run_add(const void* packed, int64_t cols, int64_t blocks, const Activations& in, const Addend& add,
                    float* y, int64_t ldy, void*) {
  if (in.rows < 1) return;
  const int64_t chunks = part_chunks(cols), stride = chunks * kPartStep<W>;
  const bool one = in.rows <= kTileRows;
  configure(in.parts.height, one);
  const int64_t most = one ? chunks : FloatParts::kSlab / kPartDepth;  // whatever its size, a sum is the same
  for (int64_t first = 0; first < chunks; first += most) {             // outside: its activations stay in cache
    Slab slab{nullptr, stride, first, chunks - first < most ? chunks - first : most, chunks - first <= most};
    const auto blocks_from = [&]<int B>(int64_t b) {
      slab.w = static_cast<const uint16_t*>(packed) + b * stride + first * kPartStep<W>;
      sweep<W, S, B>(slab, in, {add.bias ? add.bias + 16 * b : nullptr, add.y}, b + B < blocks, y + 16 * b, ldy);
    };
    int64_t b = 0;
    for (; one && b + 4 <= blocks; b += 4) blocks_from.template operator()<4>(b);
    for (; b + 2 <= blocks; b += 2) blocks_from.template operator()<2>(b);
    for (; b < blocks; ++b) blocks_from.template operator()<1>(b);
  }
  _tile_release();
}

template <int W, int S>
static void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                void* scratch) {
  run_add<W, S>(packed, cols, blocks, in, {}, y, ldy, scratch);
}

template <int W, int S>
static void fill(MatMul& m, const char* name) {
  m.gemv = m.gemm = name;
  m.run = run<W, S>;
  m.run_add = run_add<W, S>;
}

}  // namespace amx

void fill_parts_amx(Kernels& table) {
  amx::fill<1, 2>(table.bf16x3[0], "bf16x3w1.amx.bf16");
  amx::fill<2, 2>(table.bf16x3[1], "bf16x3w2.amx.bf16");
  amx::fill<3, 2>(table.bf16x3[2], "bf16x3w3.amx.bf16");
  amx::fill<1, 1>(table.bf16x2[0], "bf16x2w1.amx.bf16");
  amx::fill<2, 1>(table.bf16x2[1], "bf16x2w2.amx.bf16");
}

}  // namespace miao::kernels
