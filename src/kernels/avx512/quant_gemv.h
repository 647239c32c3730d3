// AVX-512 VNNI, one activation row: codes go from the packed stream to vpdpbusd in registers. Each of the 16 lanes is
// an output row, so there are no horizontal sums and no shuffles; activations are broadcast from memory (load ports
// only). Private to avx512/ and amx/ files: everything is static inside the including file's namespace.
#pragma once

#include <immintrin.h>

#include "kernels/quant/layout.h"
#include "kernels/table.h"

namespace miao::kernels {
namespace avx512 {

static inline __m512 load_f16(const uint8_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
static inline void widen_f16(const uint8_t* src, float* dst) { _mm512_storeu_ps(dst, load_f16(src)); }

// Unsigned codes of quads j and j + 4 of a group.
template <DType D>
static inline void quads(const uint8_t* g, int j, __m512i& low, __m512i& high) {
  constexpr Codes c = quant_traits(D).codes;
  constexpr bool nibble =
      c == Codes::nibble || c == Codes::nibble_lut || c == Codes::nibble_bit || c == Codes::nibble_two;
  const __m512i m4 = _mm512_set1_epi8(15);
  if constexpr (c == Codes::byte) {
    low = _mm512_loadu_si512(g + 64 * j);
    high = _mm512_loadu_si512(g + 64 * (j + 4));
  }
  if constexpr (nibble) {
    const __m512i n = _mm512_loadu_si512(g + 64 * j);
    low = _mm512_and_si512(n, m4);
    high = _mm512_and_si512(_mm512_srli_epi16(n, 4), m4);
  }
  if constexpr (c == Codes::nibble_lut) {
    const __m512i lut = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)code_table(D)));
    low = _mm512_shuffle_epi8(lut, low);
    high = _mm512_shuffle_epi8(lut, high);
  }
  if constexpr (c == Codes::nibble_two || c == Codes::two || c == Codes::two_bit) {
    constexpr int base = nibble ? 256 : 0;
    const __m512i p0 = _mm512_loadu_si512(g + base), p1 = _mm512_loadu_si512(g + base + 64);
    const __m512i m2 = _mm512_set1_epi8(3);
    const __m512i a = _mm512_and_si512(_mm512_srli_epi16(p0, static_cast<unsigned>(2 * j)), m2);
    const __m512i b = _mm512_and_si512(_mm512_srli_epi16(p1, static_cast<unsigned>(2 * j)), m2);
    if constexpr (nibble) {
      low = _mm512_or_si512(low, _mm512_slli_epi16(a, 4));
      high = _mm512_or_si512(high, _mm512_slli_epi16(b, 4));
    } else {
      low = a;
      high = b;
    }
  }
  if constexpr (c == Codes::nibble_bit || c == Codes::two_bit) {
    constexpr int base = nibble ? 256 : 128, to = nibble ? 4 : 2;
    const __m512i bits = _mm512_loadu_si512(g + base);
    const __m512i one = _mm512_set1_epi8(1);
    const __m512i a = _mm512_and_si512(_mm512_srli_epi16(bits, static_cast<unsigned>(j)), one);
    const __m512i b = _mm512_and_si512(_mm512_srli_epi16(bits, static_cast<unsigned>(j + 4)), one);
    low = _mm512_or_si512(low, _mm512_slli_epi16(a, to));
    high = _mm512_or_si512(high, _mm512_slli_epi16(b, to));
  }
}

// The scales (and mins) of successive groups as vectors of 16 rows.
template <DType D>
struct Scale16 {
  static constexpr QuantTraits t = quant_traits(D);
  const uint8_t* p;
  int inner = 0;
  __m512 d, dmin;

  explicit Scale16(const uint8_t* area) : p(area) {}

  inline void next(__m512 scale[2], __m512 min[2]) {
    if constexpr (t.scales == Scales::f16 || t.scales == Scales::f16_min) {
      scale[0] = load_f16(p);
      if constexpr (has_min(t.scales)) min[0] = load_f16(p + 32);
    } else if constexpr (t.scales == Scales::e8m0) {
      const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p));
      const __m512i one = _mm512_set1_epi32(1);
      const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23);
      const __m512i tiny = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
      scale[0] = _mm512_castsi512_ps(_mm512_mask_blend_epi32(_mm512_cmpgt_epu32_mask(e, one), tiny, normal));
    } else {
      if (inner == 0) {
        d = load_f16(p);
        if constexpr (has_min(t.scales)) dmin = _mm512_sub_ps(_mm512_setzero_ps(), load_f16(p + 32));
        p += super_bytes(t.scales);
      }
      inner = (inner + 1) & 7;
      for (int h = 0; h < t.sub; ++h) {
        const __m128i s = _mm_loadu_si128((const __m128i*)(p + 16 * h));
        scale[h] =
            _mm512_mul_ps(d, _mm512_cvtepi32_ps(has_min(t.scales) ? _mm512_cvtepu8_epi32(s) : _mm512_cvtepi8_epi32(s)));
        if constexpr (has_min(t.scales)) {
          const __m128i m = _mm_loadu_si128((const __m128i*)(p + 16 * (t.sub + h)));
          min[h] = _mm512_mul_ps(dmin, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(m)));
        }
      }
    }
    p += scale_bytes(t.scales, t.sub);
  }
};

static inline __m512i broadcast4(const int8_t* q) {
  int32_t word;
  __builtin_memcpy(&word, q, 4);
  return _mm512_set1_epi32(word);
}

// An integer sum becomes a float without a conversion: 1.5 x 2^23 + sum, |sum| < 2^22, has the bits kBias + sum, so
// sums start at kBias (or get it added), and one fma both takes it off and scales. Neither step rounds but for the
// product: scales have at most 22 significant bits, hence -1.5 x 2^23 x scale is exact.
constexpr int32_t kBias = 0x4B400000;
static inline __m512 bias_of(__m512 scale) { return _mm512_mul_ps(scale, _mm512_set1_ps(-12582912.0f)); }
static inline __m512 scaled(__m512i biased, __m512 scale, __m512 bias) {
  return _mm512_fmadd_ps(_mm512_castsi512_ps(biased), scale, bias);
}

constexpr int kPrefetch = 2048;  // bytes ahead in the code stream; measured best of 0, 1, 2, 4 KB

template <DType D>
static void gemv(const uint8_t* block, int64_t cols, int64_t blocks, const Quantised& in, float* y) {
  constexpr QuantTraits t = quant_traits(D);
  const int64_t groups = cols / 32, area = scale_area(t, cols), stride = packed_block_bytes(t, cols);
  for (int64_t b = 0; b < blocks; ++b, block += stride) {
    Scale16<D> scales(block);
    const uint8_t* codes = block + area;
    __m512 acc = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; ++g, codes += code_bytes(t.codes)) {
      for (int i = 0; i < code_bytes(t.codes); i += 64) _mm_prefetch((const char*)codes + kPrefetch + i, _MM_HINT_T0);
      const int8_t* x = in.q + 32 * g;
      __m512 scale[2], min[2];
      scales.next(scale, min);
      __m512i first, second;  // sub == 2: the two halves; sub == 1: two partial sums of the group
      const __m512i start = _mm512_set1_epi32(kBias);
      if constexpr (t.zero_shift < 0) {
        first = t.sub == 2 ? start : _mm512_setzero_si512();
        second = start;
      } else if constexpr (t.sub == 2) {
        first = _mm512_add_epi32(_mm512_slli_epi32(_mm512_set1_epi32(in.nsum16[0][g]), t.zero_shift), start);
        second = _mm512_add_epi32(_mm512_slli_epi32(_mm512_set1_epi32(in.nsum16[1][g]), t.zero_shift), start);
      } else {
        first = _mm512_slli_epi32(_mm512_set1_epi32(in.nsum[g]), t.zero_shift);
        second = start;
      }
      for (int j = 0; j < 4; ++j) {
        __m512i low, high;
        quads<D>(codes, j, low, high);
        first = _mm512_dpbusd_epi32(first, low, broadcast4(x + 4 * j));
        second = _mm512_dpbusd_epi32(second, high, broadcast4(x + 16 + 4 * j));
      }
      const __m512 s = _mm512_set1_ps(in.scale[g]);
      if constexpr (t.sub == 1) {
        acc = _mm512_fmadd_ps(scaled(_mm512_add_epi32(first, second), scale[0], bias_of(scale[0])), s, acc);
        if constexpr (has_min(t.scales)) acc = _mm512_fmadd_ps(min[0], _mm512_set1_ps(in.dsum[g]), acc);
      } else {
        acc = _mm512_fmadd_ps(scaled(first, scale[0], bias_of(scale[0])), s, acc);
        if constexpr (has_min(t.scales)) acc = _mm512_fmadd_ps(min[0], _mm512_set1_ps(in.dsum16[0][g]), acc);
        acc = _mm512_fmadd_ps(scaled(second, scale[1], bias_of(scale[1])), s, acc);
        if constexpr (has_min(t.scales)) acc = _mm512_fmadd_ps(min[1], _mm512_set1_ps(in.dsum16[1][g]), acc);
      }
    }
    _mm512_storeu_ps(y + 16 * b, acc);
  }
}

// A panel: one packed block unpacked to byte codes [K / 4][16 rows][4], scales [groups][sub][16] and mins likewise.
struct Panel {
  uint8_t* codes;
  float* scale;
  float* min;
};
static inline int64_t panel_bytes(int64_t cols) { return cols * 16 + cols / 32 * 2 * 64 * 2; }
static inline Panel panel_at(void* scratch, int64_t cols) {
  auto* p = static_cast<uint8_t*>(scratch);
  return {p, (float*)(p + cols * 16), (float*)(p + cols * 16 + cols / 32 * 2 * 64)};
}

// One group of a packed block, and all that follow: codes as bytes to [8 quads][16 rows][4], less the zero where
// signed.
template <DType D, bool kSigned>
struct Unpack {
  static constexpr QuantTraits t = quant_traits(D);
  Scale16<D> scales;
  const uint8_t* codes;

  Unpack(const uint8_t* block, int64_t cols) : scales(block), codes(block + scale_area(t, cols)) {}

  // 128 bytes of the next 16 KB go to the second cache, from its four pages of 4 KB in turn. Measured with one_tile
  // over weights in memory: 8 % (Q4_0) and 10 % (Q8_0) faster than in order, 9 % and 19 % than 16 groups ahead to the
  // first cache.
  static inline void fetch_ahead(const uint8_t* p) {
    const auto at = reinterpret_cast<uintptr_t>(p);
    const uintptr_t window = at & ~uintptr_t{16383}, turn = at % 16384 / 128;
    const auto* from = reinterpret_cast<const char*>(window + 16384 + turn % 4 * 4096 + turn / 4 * 128);
    _mm_prefetch(from, _MM_HINT_T1);
    _mm_prefetch(from + 64, _MM_HINT_T1);
  }

  inline void next(uint8_t* to, float* scale_to, float* min_to) {
    for (int i = 0; i < code_bytes(t.codes); i += 128) fetch_ahead(codes + i);
    const __m512i zero =
        _mm512_set1_epi8(kSigned && t.zero_shift >= 0 ? (char)(1u << (t.zero_shift < 0 ? 0 : t.zero_shift)) : 0);
    __m512 scale[2], min[2];
    scales.next(scale, min);
    for (int h = 0; h < t.sub; ++h) {
      _mm512_store_ps(scale_to + 16 * h, scale[h]);
      if constexpr (has_min(t.scales)) _mm512_store_ps(min_to + 16 * h, min[h]);
    }
    for (int j = 0; j < 4; ++j) {
      __m512i low, high;
      quads<D>(codes, j, low, high);
      _mm512_store_si512(to + 64 * j, _mm512_sub_epi8(low, zero));
      _mm512_store_si512(to + 64 * (j + 4), _mm512_sub_epi8(high, zero));
    }
    codes += code_bytes(t.codes);
  }
};

template <DType D, bool kSigned>
static void unpack_panel(const uint8_t* block, int64_t cols, const Panel& out) {
  constexpr int kSub = quant_traits(D).sub;
  Unpack<D, kSigned> from(block, cols);
  for (int64_t g = 0; g < cols / 32; ++g)
    from.next(out.codes + 512 * g, out.scale + g * kSub * 16, out.min + g * kSub * 16);
}

}  // namespace avx512
}  // namespace miao::kernels
