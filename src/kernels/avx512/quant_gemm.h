// AVX-512 VNNI, several activation rows: two unpacked panels (32 output rows) x up to 6 tokens a register tile. The
// same products and the same order of FP32 additions as the GEMV, so an output does not depend on the rows beside it.
#pragma once

#include "kernels/avx512/quant_gemv.h"

namespace miao::kernels {
namespace avx512 {

// NR tokens x MB panels; every token's group sum starts at zero_shift-scaled -sum(q), which cancels the code offset.
template <int NR, int MB, int kSub, bool kMin>
static inline void tile(const Panel* panels, int64_t groups, int shift, const int8_t* q, int64_t ldq,
                        const GroupMeta* meta, int64_t ldm, float* y, int64_t ldy) {
  constexpr int quads_a_sub = 8 / kSub;
  __m512 acc[NR][MB];
  for (int r = 0; r < NR; ++r)
    for (int m = 0; m < MB; ++m) acc[r][m] = _mm512_setzero_ps();
  const __m128i count = _mm_cvtsi32_si128(shift);
  for (int64_t g = 0; g < groups; ++g) {
    for (int h = 0; h < kSub; ++h) {
      __m512i sum[NR][MB];
      for (int r = 0; r < NR; ++r) {
        const GroupMeta& gm = meta[r * ldm + g];
        const __m512i start = kMin ? _mm512_setzero_si512()
                                   : _mm512_sll_epi32(_mm512_set1_epi32(kSub == 1 ? gm.nsum : gm.nsum16[h]), count);
        for (int m = 0; m < MB; ++m) sum[r][m] = start;
      }
      for (int j = h * quads_a_sub; j < (h + 1) * quads_a_sub; ++j) {
        __m512i w[MB];
        for (int m = 0; m < MB; ++m) w[m] = _mm512_load_si512(panels[m].codes + 512 * g + 64 * j);
        for (int r = 0; r < NR; ++r) {
          const __m512i x = broadcast4(q + r * ldq + 32 * g + 4 * j);
          for (int m = 0; m < MB; ++m) sum[r][m] = _mm512_dpbusd_epi32(sum[r][m], w[m], x);
        }
      }
      for (int m = 0; m < MB; ++m) {
        const __m512 scale = _mm512_load_ps(panels[m].scale + (g * kSub + h) * 16);
        __m512 min;
        if constexpr (kMin) min = _mm512_load_ps(panels[m].min + (g * kSub + h) * 16);
        for (int r = 0; r < NR; ++r) {
          const GroupMeta& gm = meta[r * ldm + g];
          acc[r][m] =
              _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[r][m]), _mm512_mul_ps(scale, _mm512_set1_ps(gm.scale)), acc[r][m]);
          if constexpr (kMin)
            acc[r][m] = _mm512_fmadd_ps(min, _mm512_set1_ps(kSub == 1 ? gm.dsum : gm.dsum16[h]), acc[r][m]);
        }
      }
    }
  }
  for (int r = 0; r < NR; ++r)
    for (int m = 0; m < MB; ++m) _mm512_storeu_ps(y + r * ldy + 16 * m, acc[r][m]);
}

// All rows of `in` against MB panels.
template <int MB, int kSub, bool kMin>
static void sweep(const Panel* panels, int64_t cols, int shift, const Activations& in, int64_t first, float* y,
                  int64_t ldy) {
  const int64_t groups = cols / 32;
  int64_t r = first;
  const auto at = [&](auto fn) {
    fn(panels, groups, shift, in.q + r * in.ldq, in.ldq, in.meta + r * in.ldm, in.ldm, y + r * ldy, ldy);
  };
  for (; r + 6 <= in.rows; r += 6) at(tile<6, MB, kSub, kMin>);
  switch (in.rows - r) {
    case 1:
      at(tile<1, MB, kSub, kMin>);
      break;
    case 2:
      at(tile<2, MB, kSub, kMin>);
      break;
    case 3:
      at(tile<3, MB, kSub, kMin>);
      break;
    case 4:
      at(tile<4, MB, kSub, kMin>);
      break;
    case 5:
      at(tile<5, MB, kSub, kMin>);
      break;
    default:
      break;
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
      sweep<2, t.sub, has_min(t.scales)>(panels, cols, t.zero_shift, in, 0, y + 16 * b, ldy);
    } else {
      sweep<1, t.sub, has_min(t.scales)>(panels, cols, t.zero_shift, in, 0, y + 16 * b, ldy);
    }
  }
}

}  // namespace avx512
}  // namespace miao::kernels
