// AVX-512 VNNI, several activation rows: two unpacked panels (32 output rows) x up to 6 tokens a register tile. The
// same products and the same order of FP32 additions as the GEMV, so an output does not depend on the rows beside it.
#pragma once

#include "kernels/avx512/quant_gemv.h"

namespace miao::kernels {
namespace avx512 {

// NR tokens from entry `at` on x MB panels; every token's group sum starts at zero_shift-scaled -sum(q), which cancels
// the code offset, and at kBias.
template <int NR, int MB, int kSub, bool kMin, bool kTiled>
static inline void tile(const Panel* panels, int shift, const Quantised& in, int64_t at, float* y, int64_t ldy) {
  constexpr int quads_a_sub = 8 / kSub;
  const int64_t rs = kTiled ? 1 : in.groups;  // entries from row to row
  __m512 acc[NR][MB];
  for (int r = 0; r < NR; ++r)
    for (int m = 0; m < MB; ++m) acc[r][m] = _mm512_setzero_ps();
  const __m128i count = _mm_cvtsi32_si128(shift);
  for (int64_t g = 0; g < in.groups; ++g, at += kTiled ? kTileRows : 1) {
    const int8_t* q = in.q + 32 * at;
    for (int h = 0; h < kSub; ++h) {
      const int32_t* nsum = (kSub == 1 ? in.nsum : in.nsum16[h]) + at;
      const float* dsum = (kSub == 1 ? in.dsum : in.dsum16[h]) + at;
      __m512i sum[NR][MB];
      for (int r = 0; r < NR; ++r) {
        __m512i start = _mm512_set1_epi32(kBias);
        if constexpr (!kMin) start = _mm512_add_epi32(start, _mm512_sll_epi32(_mm512_set1_epi32(nsum[r * rs]), count));
        for (int m = 0; m < MB; ++m) sum[r][m] = start;
      }
      for (int j = h * quads_a_sub; j < (h + 1) * quads_a_sub; ++j) {
        __m512i w[MB];
        for (int m = 0; m < MB; ++m) w[m] = _mm512_load_si512(panels[m].codes + 512 * g + 64 * j);
        for (int r = 0; r < NR; ++r) {
          const __m512i x = broadcast4(q + 32 * r * rs + 4 * j);
          for (int m = 0; m < MB; ++m) sum[r][m] = _mm512_dpbusd_epi32(sum[r][m], w[m], x);
        }
      }
      for (int m = 0; m < MB; ++m) {
        const __m512 scale = _mm512_load_ps(panels[m].scale + (g * kSub + h) * 16);
        const __m512 bias = bias_of(scale);
        __m512 min;
        if constexpr (kMin) min = _mm512_load_ps(panels[m].min + (g * kSub + h) * 16);
        for (int r = 0; r < NR; ++r) {
          acc[r][m] = _mm512_fmadd_ps(scaled(sum[r][m], scale, bias), _mm512_set1_ps(in.scale[at + r * rs]), acc[r][m]);
          if constexpr (kMin) acc[r][m] = _mm512_fmadd_ps(min, _mm512_set1_ps(dsum[r * rs]), acc[r][m]);
        }
      }
    }
  }
  for (int r = 0; r < NR; ++r)
    for (int m = 0; m < MB; ++m) _mm512_storeu_ps(y + r * ldy + 16 * m, acc[r][m]);
}

// NR tokens, at most kMost, as many as `rows` says.
template <int MB, int kSub, bool kMin, bool kTiled, int NR>
static inline void tile_of(int64_t rows, const Panel* panels, int shift, const Quantised& in, int64_t at, float* y,
                           int64_t ldy) {
  if constexpr (NR > 1) {
    if (rows < NR) return tile_of<MB, kSub, kMin, kTiled, NR - 1>(rows, panels, shift, in, at, y, ldy);
  }
  tile<NR, MB, kSub, kMin, kTiled>(panels, shift, in, at, y, ldy);
}

// All rows of `in` against MB panels.
template <int MB, int kSub, bool kMin>
static void sweep(const Panel* panels, int shift, const Activations& in, float* y, int64_t ldy) {
  if (!in.codes.tiled) return tile_of<MB, kSub, kMin, false, kFewRows>(in.rows, panels, shift, in.codes, 0, y, ldy);
  constexpr int kStep = 6;
  for (int64_t r = 0; r < in.rows;) {
    const int64_t in_tile = kTileRows - r % kTileRows, left = in.rows - r < in_tile ? in.rows - r : in_tile;
    tile_of<MB, kSub, kMin, true, kStep>(left, panels, shift, in.codes, in.codes.index(r, 0), y + r * ldy, ldy);
    r += left < kStep ? left : kStep;
  }
}

static inline int64_t gemm_scratch(int64_t cols) { return 2 * panel_bytes(cols); }

template <DType D>
static void gemm(const uint8_t* block, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                 void* scratch) {
  constexpr QuantTraits t = quant_traits(D);
  const int64_t stride = packed_block_bytes(t, cols);
  const Panel panels[2] = {panel_at(scratch, cols), panel_at(static_cast<uint8_t*>(scratch) + panel_bytes(cols), cols)};
  for (int64_t b = 0; b < blocks; b += 2, block += 2 * stride) {
    unpack_panel<D, false>(block, cols, panels[0]);
    if (b + 1 < blocks) {
      unpack_panel<D, false>(block + stride, cols, panels[1]);
      sweep<2, t.sub, has_min(t.scales)>(panels, t.zero_shift, in, y + 16 * b, ldy);
    } else {
      sweep<1, t.sub, has_min(t.scales)>(panels, t.zero_shift, in, y + 16 * b, ldy);
    }
  }
}

}  // namespace avx512
}  // namespace miao::kernels
