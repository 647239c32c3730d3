// AVX-512 VNNI, int8 products with one scale a row: up to 6 tokens x 4 blocks of 16 outputs in registers, all of K in
// one pass, activations broadcast from memory (load ports only). Sums start at the block's start, which takes the 128
// off the activations. Private to avx512/ and amx/ files.
#pragma once

#include <immintrin.h>

#include "kernels/generic/parts.h"
#include "kernels/quant/int8_layout.h"

namespace miao::kernels {
namespace avx512 {

// The element type matters: sums kept as __m512i, which is of 64-bit lanes, g++ 12 copies at every round of a loop.
using Sums = int32_t __attribute__((vector_size(64)));

// 16 results with what is to be added, stored.
static inline void int8_store(__m512 value, const Addend& add, int64_t column, float* y) {
  if (add.bias != nullptr) value = _mm512_add_ps(value, _mm512_loadu_ps(add.bias + column));
  if (add.y) value = _mm512_add_ps(value, _mm512_loadu_ps(y));
  _mm512_storeu_ps(y, value);
}

// What the carries of a row add to B blocks, in units of 128.
template <int B>
static inline void carry_sums(const RowCarries& carries, const uint8_t* packed, int64_t stride, Sums (&out)[B]) {
  const int8_t* const codes = Int8Block(packed).codes;
  __m512i plus[B], minus[B];
  MIAO_UNROLL for (int b = 0; b < B; ++b) plus[b] = minus[b] = _mm512_setzero_si512();
  const auto add = [&](__m512i(&sum)[B], const RowCarry& c) {
    int32_t digits;
    __builtin_memcpy(&digits, c.digit, 4);
    const __m512i a = _mm512_set1_epi32(digits);
    const int8_t* const w = codes + int64_t{c.quad} * 64;
    MIAO_UNROLL for (int b = 0; b < B; ++b) sum[b] = _mm512_dpbusd_epi32(sum[b], a, _mm512_load_si512(w + b * stride));
  };
  for (int32_t i = 0; i < carries.plus; ++i) add(plus, carries.list[i]);
  for (int32_t i = 1; i <= carries.minus; ++i) add(minus, carries.end[-i]);
  MIAO_UNROLL for (int b = 0; b < B; ++b) out[b] = (Sums)_mm512_sub_epi32(plus[b], minus[b]);
}
// value + 128 * carry, rounded once.
static inline __m512 with_carry(__m512 value, Sums carry) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps((__m512i)carry), _mm512_set1_ps(128.0f), value);
}

constexpr int kInt8Rows = 6, kInt8Blocks = 4;

// NR rows of one tile from `row` on x MB blocks.
template <int NR, int MB>
MIAO_NOINLINE static void int8_tile(const uint8_t* packed, int64_t stride, const RowCodes& in, int64_t row,
                                    const Addend& add, float* y, int64_t ldy) {
  Sums sum[NR][MB], carry[NR][MB];  // carries wait in memory
  bool carried[NR];
  MIAO_UNROLL for (int r = 0; r < NR; ++r) {
    const RowCarries carries = in.carries(row + r);
    carried[r] = carries.any();
    if (carried[r]) carry_sums<MB>(carries, packed, stride, carry[r]);
  }
  const int8_t* w[MB];
  MIAO_UNROLL for (int m = 0; m < MB; ++m) {
    const Int8Block block(packed + m * stride);
    w[m] = block.codes;
    const Sums start = (Sums)_mm512_load_si512(block.start);
    MIAO_UNROLL for (int r = 0; r < NR; ++r) sum[r][m] = start;
  }
  const uint8_t* q = in.q + in.offset(row);
  const int64_t step = in.chunk_step() - kChunk, end = in.chunks * kInt8Tile;
  for (int64_t at = 0; at < end;) {
    const int64_t last = at + kInt8Tile;
    MIAO_UNROLL for (; at < last; at += 64, q += 4) {
      __m512i weight[MB];
      MIAO_UNROLL for (int m = 0; m < MB; ++m) {
        weight[m] = _mm512_load_si512(w[m] + at);
        __asm__("" : "+v"(weight[m]));  // else g++ loads it again for each row
      }
      MIAO_UNROLL for (int r = 0; r < NR; ++r) {
        int32_t word;
        __builtin_memcpy(&word, q + r * kChunk, 4);
        const __m512i a = _mm512_set1_epi32(word);
        MIAO_UNROLL for (int m = 0; m < MB; ++m) sum[r][m] =
            (Sums)_mm512_dpbusd_epi32((__m512i)sum[r][m], a, weight[m]);
      }
    }
    q += step;
  }
  MIAO_UNROLL for (int r = 0; r < NR; ++r) {
    const __m512 scale = _mm512_set1_ps(in.scale[row + r]);
    MIAO_UNROLL for (int m = 0; m < MB; ++m) {
      __m512 value = _mm512_cvtepi32_ps((__m512i)sum[r][m]);
      if (carried[r]) value = with_carry(value, carry[r][m]);
      value = _mm512_mul_ps(value, _mm512_load_ps(Int8Block(packed + m * stride).scale));
      int8_store(_mm512_mul_ps(value, scale), add, 16 * m, y + r * ldy + 16 * m);
    }
  }
}

// int8_tile of `rows` rows, at most NR.
template <int NR, int MB>
static inline void int8_rows(int64_t rows, const uint8_t* packed, int64_t stride, const RowCodes& in, int64_t row,
                             const Addend& add, float* y, int64_t ldy) {
  if constexpr (NR > 1) {
    if (rows < NR) return int8_rows<NR - 1, MB>(rows, packed, stride, in, row, add, y, ldy);
  }
  int8_tile<NR, MB>(packed, stride, in, row, add, y, ldy);
}

// All rows x MB blocks, the rows of a tile in parts of nearly equal size.
template <int MB>
static void int8_sweep(const uint8_t* packed, int64_t stride, const Activations& in, const Addend& add, float* y,
                       int64_t ldy) {
  for (int64_t first = 0; first < in.rows; first += kTileRows) {
    const int64_t left = in.rows - first, rows = left < kTileRows ? left : kTileRows;
    const int64_t parts = (rows + kInt8Rows - 1) / kInt8Rows;
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t r = first + rows * i / parts, count = first + rows * (i + 1) / parts - r;
      int8_rows<kInt8Rows, MB>(count, packed, stride, in.row_codes, r, add, y + r * ldy, ldy);
    }
  }
}

// The additions to the outputs from block b on.
static inline Addend add_from(const Addend& add, int64_t b) {
  return {add.bias == nullptr ? nullptr : add.bias + b * kLanes, add.y};
}

static void run_int8_add(const void* packed, int64_t cols, int64_t blocks, const Activations& in, const Addend& add,
                         float* y, int64_t ldy, void*) {
  const int64_t stride = int8_block_bytes(cols), whole = blocks - blocks % kInt8Blocks;
  const auto* const first = static_cast<const uint8_t*>(packed);
  for (int64_t b = 0; b < whole; b += kInt8Blocks)
    int8_sweep<kInt8Blocks>(first + b * stride, stride, in, add_from(add, b), y + b * kLanes, ldy);
  const uint8_t* const last = first + whole * stride;
  const Addend last_add = add_from(add, whole);
  y += whole * kLanes;
  if (blocks - whole == 3) int8_sweep<3>(last, stride, in, last_add, y, ldy);
  if (blocks - whole == 2) int8_sweep<2>(last, stride, in, last_add, y, ldy);
  if (blocks - whole == 1) int8_sweep<1>(last, stride, in, last_add, y, ldy);
}

}  // namespace avx512
}  // namespace miao::kernels
