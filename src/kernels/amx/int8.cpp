// AMX, int8 products with one scale a row: all of K stays in the tile unit, which multiplies unsigned activations by
// signed codes. 32 tokens x 2 blocks of 16 outputs a pass, or up to 16 tokens x 4 blocks: four sums either way, because
// a product takes 52 cycles and the next of its sum must wait. While one pass is multiplied, the results of the one
// before are scaled and stored. Few rows go to the AVX-512 function: weights that come from memory set the time then.
#include <immintrin.h>

#include "kernels/generic/vec16_avx512.h"
//
#include "kernels/amx/tile_config.h"
#include "kernels/avx512/int8_product.h"
#include "kernels/tables.h"

namespace miao::kernels {
namespace amx {

// Tiles 0 - 3: sums. 4 and 5: activations (5 is a third tile of codes where one holds all tokens). 6, 7: codes.
static void configure(int64_t height, bool one_tile) {
  TileConfig c;
  for (int i = 0; i < 8; ++i) {
    const bool codes = i >= (one_tile ? 5 : 6);
    c.bytes[i] = 64;
    c.rows[i] = static_cast<uint8_t>(codes ? kTileRows : height);
  }
  c.load();
}

// Sums on their way from the tile unit to y: (rows, B blocks of 16).
template <int B>
struct Results {
  alignas(64) int32_t sums[4 * 16 * kTileRows];
  const uint8_t* packed = nullptr;
  int64_t stride = 0;
  const RowCodes* codes = nullptr;
  int64_t row = 0;  // the first
  Addend add;
  float* y = nullptr;
  int64_t ldy = 0, next = 0, rows = 0;

  inline void store(int64_t count) {
    if (next == rows) return;
    __m512 scale[B];
    MIAO_UNROLL for (int b = 0; b < B; ++b) scale[b] = _mm512_load_ps(Int8Block(packed + b * stride).scale);
    const int64_t end = next + count < rows ? next + count : rows;
    for (; next < end; ++next) {
      const __m512 factor = _mm512_set1_ps(codes->scale[row + next]);
      const RowCarries carries = codes->carries(row + next);
      __m512 sum[B];
      MIAO_UNROLL for (int b = 0; b < B; ++b) {
        sum[b] = _mm512_cvtepi32_ps(_mm512_load_si512(sums + (next * B + b) * 16));
      }
      if (carries.any()) {
        avx512::Sums carry[B];
        avx512::carry_sums<B>(carries, packed, stride, carry);
        MIAO_UNROLL for (int b = 0; b < B; ++b) sum[b] = avx512::with_carry(sum[b], carry[b]);
      }
      MIAO_UNROLL for (int b = 0; b < B; ++b) {
        avx512::int8_store(_mm512_mul_ps(_mm512_mul_ps(sum[b], scale[b]), factor), add, 16 * b,
                           y + next * ldy + 16 * b);
      }
    }
  }
};

// R tiles of tokens from `row` on x B blocks. Meanwhile the weights at `ahead` are fetched, if they are not null.
// Macros, because the intrinsics want literal tile numbers.
#define MIAO_START(sum, b) _tile_loadd(sum, Int8Block(packed + (b)*stride).start, 0) /* every row the same */
#define MIAO_CODES(tile, b) _tile_loadd(tile, codes + (b)*stride, 64)
#define MIAO_STORE(sum, r, b) _tile_stored(sum, out.sums + ((r)*kTileRows * B + (b)) * 16, B * 64)
template <int R, int B>
static inline void pass(const uint8_t* packed, int64_t stride, const RowCodes& in, int64_t row, int64_t rows,
                        const Addend& add, float* y, int64_t ldy, const uint8_t* ahead, Results<B>& out) {
  __asm__ volatile("" : : : "memory");  // tile loads do not tell the compiler that they read memory
  MIAO_START(0, 0);
  if constexpr (B > 1) MIAO_START(1, 1);
  if constexpr (R > 1) {
    MIAO_START(2, 0);
    if constexpr (B > 1) MIAO_START(3, 1);
  } else {
    if constexpr (B > 2) MIAO_START(2, 2);
    if constexpr (B > 3) MIAO_START(3, 3);
  }
  const uint8_t* q = in.q + in.offset(row);
  const int8_t* codes = Int8Block(packed).codes;
  const int64_t step = in.chunk_step(), next_tile = in.chunks * step, chunks = in.chunks;
  const int64_t drain = (out.rows + chunks - 1) / chunks;
  for (int64_t c = 0; c < chunks; ++c, q += step, codes += kInt8Tile) {
    if (ahead != nullptr) {
      for (int64_t i = 0; i < B * kInt8Tile; i += 64) _mm_prefetch(ahead + i, _MM_HINT_T1);
      ahead += B * kInt8Tile;
    }
    _tile_loadd(4, q, kChunk);
    if constexpr (R > 1) {
      MIAO_CODES(6, 0);
      _tile_dpbusd(0, 4, 6);
      if constexpr (B > 1) MIAO_CODES(7, 1);
      if constexpr (B > 1) _tile_dpbusd(1, 4, 7);
      _tile_loadd(5, q + next_tile, kChunk);
      _tile_dpbusd(2, 5, 6);
      if constexpr (B > 1) _tile_dpbusd(3, 5, 7);
    } else {
      MIAO_CODES(5, 0);
      _tile_dpbusd(0, 4, 5);
      if constexpr (B > 1) MIAO_CODES(6, 1);
      if constexpr (B > 1) _tile_dpbusd(1, 4, 6);
      if constexpr (B > 2) MIAO_CODES(7, 2);
      if constexpr (B > 2) _tile_dpbusd(2, 4, 7);
      if constexpr (B > 3) MIAO_CODES(5, 3);
      if constexpr (B > 3) _tile_dpbusd(3, 4, 5);
    }
    out.store(drain);
  }
  MIAO_STORE(0, 0, 0);
  if constexpr (B > 1) MIAO_STORE(1, 0, 1);
  if constexpr (R > 1) {
    MIAO_STORE(2, 1, 0);
    if constexpr (B > 1) MIAO_STORE(3, 1, 1);
  } else {
    if constexpr (B > 2) MIAO_STORE(2, 0, 2);
    if constexpr (B > 3) MIAO_STORE(3, 0, 3);
  }
  out.packed = packed;
  out.stride = stride;
  out.codes = &in;
  out.row = row;
  out.add = add;
  out.y = y;
  out.ldy = ldy;
  out.next = 0;
  out.rows = rows;
}
#undef MIAO_START
#undef MIAO_CODES
#undef MIAO_STORE

// All rows x `count` times B blocks.
template <int B>
static void sweep(const uint8_t* packed, int64_t stride, int64_t count, const Activations& in, const Addend& from,
                  float* y, int64_t ldy) {
  Results<B> out;
  for (int64_t i = 0; i < count; ++i, packed += B * stride, y += B * kLanes) {
    const Addend add = avx512::add_from(from, i * B);
    // Weights that are used once a call come from far: the next ones are fetched beside the work on these.
    const uint8_t* const ahead = in.rows <= 2 * kTileRows && i + 1 < count ? packed + B * stride : nullptr;
    for (int64_t r = 0; r < in.rows;) {
      const int64_t left = in.rows - r;
      if (B <= 2 && left > kTileRows) {
        const int64_t rows = left < 2 * kTileRows ? left : 2 * kTileRows;
        if constexpr (B <= 2) pass<2, B>(packed, stride, in.row_codes, r, rows, add, y + r * ldy, ldy, ahead, out);
        r += rows;
      } else {
        const int64_t rows = left < kTileRows ? left : kTileRows;
        pass<1, B>(packed, stride, in.row_codes, r, rows, add, y + r * ldy, ldy, ahead, out);
        r += rows;
      }
    }
  }
  out.store(out.rows);
}

static void run_int8_add(const void* packed, int64_t cols, int64_t blocks, const Activations& in, const Addend& add,
                         float* y, int64_t ldy, void* scratch) {
  if (in.rows <= kFewRows) return avx512::run_int8_add(packed, cols, blocks, in, add, y, ldy, scratch);
  const bool one_tile = in.rows <= kTileRows;
  const int64_t stride = int8_block_bytes(cols), rest = blocks % (one_tile ? 4 : 2), whole = blocks - rest;
  const auto* const first = static_cast<const uint8_t*>(packed);
  const uint8_t* const last = first + whole * stride;
  const Addend last_add = avx512::add_from(add, whole);
  float* const last_y = y + whole * kLanes;
  configure(in.row_codes.height, one_tile);
  if (one_tile) {
    sweep<4>(first, stride, whole / 4, in, add, y, ldy);
  } else {
    sweep<2>(first, stride, whole / 2, in, add, y, ldy);
  }
  if (rest == 3) sweep<3>(last, stride, 1, in, last_add, last_y, ldy);
  if (rest == 2) sweep<2>(last, stride, 1, in, last_add, last_y, ldy);
  if (rest == 1) sweep<1>(last, stride, 1, in, last_add, last_y, ldy);
  _tile_release();
}

static void run_int8(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                     void* scratch) {
  run_int8_add(packed, cols, blocks, in, {}, y, ldy, scratch);
}

}  // namespace amx

void fill_int8_amx(Kernels& table) {
  table.int8.gemm = "int8.amx.int8";
  table.int8.run = amx::run_int8;
  table.int8.run_add = amx::run_int8_add;
}

}  // namespace miao::kernels
