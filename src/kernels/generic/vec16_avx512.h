// Vec16 of AVX-512: one register. See vec16_scalar.h for what each function means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define MIAO_ISA avx512
#define MIAO_ISA_NAME "avx512"

namespace miao::kernels::avx512 {
namespace {

struct Vec {
  __m512 v;
};
struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};

// Register blocks that fit 32 registers.
constexpr int kTileBlocks = 2;
constexpr int kTileTokens = 12;
constexpr int kGemvBlocks = 8;
constexpr int attention_vecs(int) { return 4; }

inline __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1); }

inline Vec set1(float x) { return {_mm512_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Vec load(const F16* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))}; }
inline Vec load(const BF16* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline Vec load_n(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
inline void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
inline void store_n(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, first(n), a.v); }
inline void store(F16* p, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline void store(BF16* p, Vec a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i high = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  const __m512i out = _mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(out));
}
inline int32_t store_codes(int8_t* p, Vec a) {
  const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a.v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  const __m128i biased = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
  const __m128i halves = _mm_sad_epu8(biased, _mm_setzero_si128());
  return _mm_cvtsi128_si32(_mm_add_epi32(halves, _mm_unpackhi_epi64(halves, halves))) - 16 * 128;
}
inline void store_codes(uint8_t* p, Vec a, Vec b, Vec c, Vec d) {
  const auto words = [](Vec v, Vec w) { return _mm512_packs_epi32(_mm512_cvtps_epi32(v.v), _mm512_cvtps_epi32(w.v)); };
  // Each quarter holds four codes of a, of b, of c and of d.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(words(a, b), words(c, d)));
  _mm512_storeu_si512(p, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));
}

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec fnma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec copysign(Vec magnitude, Vec sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.v), _mm512_and_ps(bit, sign.v))};
}
inline Vec select_lt(Vec a, Vec b, Vec yes, Vec no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), no.v, yes.v)};
}
inline uint64_t far_lanes(Vec a, float limit) {
  return _mm512_cmp_ps_mask(abs(a).v, _mm512_set1_ps(limit), _CMP_NLT_UQ);
}
inline Vec keep_lanes(Vec a, int begin, int end, Vec other) {
  return {_mm512_mask_blend_ps(static_cast<__mmask16>(first(end) & ~first(begin)), other.v, a.v)};
}
inline Vec lookup(const float (&table)[16], Vec bits) {
  return {_mm512_permutexvar_ps(_mm512_castps_si512(bits.v), _mm512_loadu_ps(table))};
}
inline Vec scale2(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }

inline float reduce_add(Vec a) {
  const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
// As integers, magnitudes of floats keep their order and NaN is above infinity.
inline Vec max_magnitude(Vec a, Vec b) {
  return {_mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(abs(a).v), _mm512_castps_si512(abs(b).v)))};
}
inline float max_abs(Vec a, Vec b) {
  const __m512i both = _mm512_max_epi32(_mm512_castps_si512(abs(a).v), _mm512_castps_si512(abs(b).v));
  const __m256i half = _mm256_max_epi32(_mm512_castsi512_si256(both), _mm512_extracti32x8_epi32(both, 1));
  const __m128i c = _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const __m128i d = _mm_max_epi32(c, _mm_unpackhi_epi64(c, c));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(d, _mm_shuffle_epi32(d, 0x55))));
}
inline float reduce_max(Vec a) {
  const __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

template <int H>
inline Vec swap_lanes(Vec a) {
  if constexpr (H == 1) return {_mm512_permute_ps(a.v, 0xb1)};
  if constexpr (H == 2) return {_mm512_permute_ps(a.v, 0x4e)};
  if constexpr (H == 4) return {_mm512_shuffle_f32x4(a.v, a.v, 0xb1)};
  if constexpr (H == 8) return {_mm512_shuffle_f32x4(a.v, a.v, 0x4e)};
}

struct Ints {
  __m512i v;
};
template <int kBits>
struct Code {};

inline Ints load_words(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
inline Ints set_word(const int8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return {_mm512_set1_epi32(word)};
}
inline Vec to_float(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline Ints codes_of(Code<8>, Ints words, int) { return words; }
inline Ints codes_of(Code<4>, Ints words, int part) {
  return {_mm512_and_si512(part == 0 ? words.v : _mm512_srli_epi16(words.v, 4), _mm512_set1_epi8(15))};
}
// The instruction takes unsigned codes; what they are too large by is taken off at the start.
inline Ints dot_start(Code<8>, int32_t sum) { return {_mm512_set1_epi32(-128 * sum)}; }
inline Ints dot_start(Code<4>, int32_t sum) { return {_mm512_set1_epi32(-8 * sum)}; }
template <int kBits>
inline Ints dot(Code<kBits>, Ints acc, Ints codes, Ints x) {
  return {_mm512_dpbusd_epi32(acc.v, codes.v, x.v)};
}
inline Vec load_codes(Code<8>, const uint8_t* row, int64_t c) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + c * 16));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
}
inline Vec load_codes(Code<4>, const uint8_t* row, int64_t c) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + c / 2 * 16));
  const __m512i wide = _mm512_cvtepu8_epi32(bytes);
  const __m512 table = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
  return {_mm512_permutexvar_ps(c % 2 == 0 ? wide : _mm512_srli_epi32(wide, 4), table)};  // it looks at four bits
}

}  // namespace
}  // namespace miao::kernels::avx512
