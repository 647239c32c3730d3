// Vec16 of AVX2: two registers. See vec16_scalar.h for what each function means.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define MIAO_ISA avx2
#define MIAO_ISA_NAME "avx2"

namespace miao::kernels::avx2 {
namespace {

struct Vec {
  __m256 lo, hi;
};
struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};

// Register blocks that fit 16 registers.
constexpr int kTileBlocks = 1;
constexpr int kTileTokens = 6;
constexpr int kGemvBlocks = 4;
constexpr int attention_vecs(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

inline Vec set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline __m256 widen(const F16* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
inline __m256 widen(const BF16* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
inline Vec load(const F16* p) { return {widen(p), widen(p + 8)}; }
inline Vec load(const BF16* p) { return {widen(p), widen(p + 8)}; }
inline Vec load_n(const float* p, int n) {
  float copy[16] = {};
  __builtin_memcpy(copy, p, static_cast<size_t>(n) * 4);
  return load(copy);
}
inline void store(float* p, Vec a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline void store_n(float* p, Vec a, int n) {
  float copy[16];
  store(copy, a);
  __builtin_memcpy(p, copy, static_cast<size_t>(n) * 4);
}
inline void store(F16* p, Vec a) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, kMode));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, kMode));
}
// bf16 of each lane in its low half, rounded to nearest even; NaN stays NaN.
inline __m256i narrow(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i high = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)));
}
inline void store(BF16* p, Vec a) {
  const __m256i packed = _mm256_packus_epi32(narrow(a.lo), narrow(a.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}
// The sum of 16 signed bytes.
inline int32_t sum_bytes(__m128i bytes) {
  const __m128i biased = _mm_xor_si128(bytes, _mm_set1_epi8(-128));
  const __m128i halves = _mm_sad_epu8(biased, _mm_setzero_si128());
  return _mm_cvtsi128_si32(_mm_add_epi32(halves, _mm_unpackhi_epi64(halves, halves))) - 16 * 128;
}
inline int32_t store_codes(int8_t* p, Vec a) {
  const __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi));
  const __m256i words = _mm256_permute4x64_epi64(packed, 0xd8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  return sum_bytes(bytes);
}
inline void store_codes(uint8_t* p, Vec a, Vec b, Vec c, Vec d) {
  // Pairs of Vecs pack to dwords in the order 0, 2, 4, 6 | 1, 3, 5, 7 of the 32 codes.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), flip = _mm256_set1_epi8(-128);
  const auto words = [](Vec v) { return _mm256_packs_epi32(_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi)); };
  const auto put = [&](uint8_t* to, Vec v, Vec w) {
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(words(v), words(w)), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_xor_si256(bytes, flip));
  };
  put(p, a, b);
  put(p + 32, c, d);
}

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)}; }
inline Vec fnma(Vec a, Vec b, Vec c) {
  return {_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline Vec abs(Vec a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline Vec copysign(Vec magnitude, Vec sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.lo), _mm256_and_ps(bit, sign.lo)),
          _mm256_or_ps(_mm256_andnot_ps(bit, magnitude.hi), _mm256_and_ps(bit, sign.hi))};
}
inline Vec select_lt(Vec a, Vec b, Vec yes, Vec no) {
  return {_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
inline uint64_t far_lanes(Vec a, float limit) {
  const Vec m = abs(a);
  const auto bits = [&](__m256 v) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_set1_ps(limit), _CMP_NLT_UQ)));
  };
  return bits(m.lo) | bits(m.hi) << 8;
}
// All ones where begin <= lane < end.
inline __m256 lane_mask(__m256i lane, int begin, int end) {
  return _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane),
                                                 _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane)));
}
inline Vec keep_lanes(Vec a, int begin, int end, Vec other) {
  const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
  return {_mm256_blendv_ps(other.lo, a.lo, lane_mask(low, begin, end)),
          _mm256_blendv_ps(other.hi, a.hi, lane_mask(high, begin, end))};
}
inline __m256 lookup(__m256 low, __m256 high, __m256 bits) {
  const __m256i n = _mm256_castps_si256(bits);  // its bit 3 becomes the sign that blendv looks at
  return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, n), _mm256_permutevar8x32_ps(high, n),
                          _mm256_castsi256_ps(_mm256_slli_epi32(n, 28)));
}
inline Vec lookup(const float (&table)[16], Vec bits) {
  const __m256 low = _mm256_loadu_ps(table), high = _mm256_loadu_ps(table + 8);
  return {lookup(low, high, bits.lo), lookup(low, high, bits.hi)};
}
// 2^n of integral n in -126 .. 127.
inline __m256 power2(__m256 n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
// Two factors, so that a result below the normal range is rounded once.
inline __m256 scale2(__m256 a, __m256 n) {
  const __m256 half = _mm256_round_ps(_mm256_mul_ps(n, _mm256_set1_ps(0.5f)), _MM_FROUND_TO_NEAREST_INT);
  return _mm256_mul_ps(_mm256_mul_ps(a, power2(half)), power2(_mm256_sub_ps(n, half)));
}
inline Vec scale2(Vec a, Vec n) { return {scale2(a.lo, n.lo), scale2(a.hi, n.hi)}; }

inline float reduce_add(Vec a) {
  const __m256 b = _mm256_add_ps(a.lo, a.hi);
  const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
// As integers, magnitudes of floats keep their order and NaN is above infinity.
inline __m256i magnitude(__m256 a) { return _mm256_castps_si256(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)); }
inline Vec max_magnitude(Vec a, Vec b) {
  return {_mm256_castsi256_ps(_mm256_max_epi32(magnitude(a.lo), magnitude(b.lo))),
          _mm256_castsi256_ps(_mm256_max_epi32(magnitude(a.hi), magnitude(b.hi)))};
}
inline float max_abs(Vec a, Vec b) {
  const __m256i low = _mm256_max_epi32(magnitude(a.lo), magnitude(a.hi));
  const __m256i high = _mm256_max_epi32(magnitude(b.lo), magnitude(b.hi));
  const __m256i both = _mm256_max_epi32(low, high);
  const __m128i c = _mm_max_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  const __m128i d = _mm_max_epi32(c, _mm_unpackhi_epi64(c, c));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(d, _mm_shuffle_epi32(d, 0x55))));
}
inline float reduce_max(Vec a) {
  const __m256 b = _mm256_max_ps(a.lo, a.hi);
  const __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

template <int H>
inline Vec swap_lanes(Vec a) {
  if constexpr (H == 1) return {_mm256_permute_ps(a.lo, 0xb1), _mm256_permute_ps(a.hi, 0xb1)};
  if constexpr (H == 2) return {_mm256_permute_ps(a.lo, 0x4e), _mm256_permute_ps(a.hi, 0x4e)};
  if constexpr (H == 4) return {_mm256_permute2f128_ps(a.lo, a.lo, 1), _mm256_permute2f128_ps(a.hi, a.hi, 1)};
  if constexpr (H == 8) return {a.hi, a.lo};
}

struct Ints {
  __m256i lo, hi;
};
template <int kBits>
struct Code {};

inline Ints load_words(const uint8_t* p) {
  const auto* const words = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(words), _mm256_loadu_si256(words + 1)};
}
inline Ints set_word(const int8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return {_mm256_set1_epi32(word), _mm256_set1_epi32(word)};
}
inline Vec to_float(Ints a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
inline Ints codes_of(Code<8>, Ints words, int) {
  const __m256i flip = _mm256_set1_epi8(-128);
  return {_mm256_xor_si256(words.lo, flip), _mm256_xor_si256(words.hi, flip)};
}
inline Ints codes_of(Code<4>, Ints words, int part) {
  const __m256i mask = _mm256_set1_epi8(15);
  if (part == 0) return {_mm256_and_si256(words.lo, mask), _mm256_and_si256(words.hi, mask)};
  return {_mm256_and_si256(_mm256_srli_epi16(words.lo, 4), mask),
          _mm256_and_si256(_mm256_srli_epi16(words.hi, 4), mask)};
}
// Products of signed codes take |x| and codes with x's sign: pairs sum to 2 x 127 x 127 at most, which does not
// saturate. Those of 4 bits are unsigned.
inline Ints dot_start(Code<8>, int32_t) { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Ints dot_start(Code<4>, int32_t sum) { return {_mm256_set1_epi32(-8 * sum), _mm256_set1_epi32(-8 * sum)}; }
inline __m256i add_quads(__m256i acc, __m256i pairs) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline Ints dot(Code<8>, Ints acc, Ints codes, Ints x) {
  const auto pairs = [](__m256i c, __m256i y) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8(y), _mm256_sign_epi8(c, y));
  };
  return {add_quads(acc.lo, pairs(codes.lo, x.lo)), add_quads(acc.hi, pairs(codes.hi, x.hi))};
}
inline Ints dot(Code<4>, Ints acc, Ints codes, Ints x) {
  return {add_quads(acc.lo, _mm256_maddubs_epi16(codes.lo, x.lo)),
          add_quads(acc.hi, _mm256_maddubs_epi16(codes.hi, x.hi))};
}
inline __m256 widen_codes(const uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline Vec load_codes(Code<8>, const uint8_t* row, int64_t c) {
  return {widen_codes(row + c * 16), widen_codes(row + c * 16 + 8)};
}
inline Vec load_codes(Code<4>, const uint8_t* row, int64_t c) {
  const auto* const bytes = reinterpret_cast<const __m128i*>(row + c / 2 * 16);
  const __m128i both = _mm_loadu_si128(bytes), mask = _mm_set1_epi8(15);
  const __m128i half = _mm_and_si128(c % 2 == 0 ? both : _mm_srli_epi16(both, 4), mask);
  const __m128i codes = _mm_sub_epi8(half, _mm_set1_epi8(8));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(codes, codes)))};
}

}  // namespace
}  // namespace miao::kernels::avx2
