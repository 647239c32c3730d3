// Vec16: sixteen FP32 lanes, here as an array. This file is the specification of the type; vec16_avx2.h and
// vec16_avx512.h give the same bits for every input (NaN payloads aside).
//
// The bodies in generic/*.inl are written over this type and compiled once per instruction set, inside the namespace
// MIAO_ISA. All is in anonymous namespaces: a function built for one processor can never be linked into another table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

#define MIAO_ISA scalar
#define MIAO_ISA_NAME "scalar"

namespace miao::kernels::scalar {
namespace {

struct Vec {
  float v[16];
};
// Elements of packed weights and KV pages.
struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};

// Sizes of the register blocks; results do not depend on them.
constexpr int kTileBlocks = 1;                   // float products: blocks of 16 output rows
constexpr int kTileTokens = 6;                   // by tokens
constexpr int kGemvBlocks = 2;                   // blocks in flight for one token
constexpr int attention_vecs(int) { return 1; }  // vectors beside `rows` query rows

template <class F>
inline Vec each(F f) {
  Vec out;
  for (int i = 0; i < 16; ++i) out.v[i] = f(i);
  return out;
}

inline Vec set1(float x) {
  return each([&](int) { return x; });
}
inline Vec load(const float* p) {
  return each([&](int i) { return p[i]; });
}
inline Vec load(const F16* p) {
  return each([&](int i) { return f16_to_f32(p[i].bits); });
}
inline Vec load(const BF16* p) {
  return each([&](int i) { return bf16_to_f32(p[i].bits); });
}
// The first n lanes, 0 <= n < 16; the others are 0.
inline Vec load_n(const float* p, int n) {
  return each([&](int i) { return i < n ? p[i] : 0.0f; });
}
inline void store(float* p, Vec a) { __builtin_memcpy(p, a.v, sizeof(a.v)); }
inline void store_n(float* p, Vec a, int n) { __builtin_memcpy(p, a.v, static_cast<size_t>(n) * 4); }
// Rounded to nearest even.
inline void store(F16* p, Vec a) {
  for (int i = 0; i < 16; ++i) p[i].bits = f32_to_f16(a.v[i]);
}
inline void store(BF16* p, Vec a) {
  for (int i = 0; i < 16; ++i) p[i].bits = f32_to_bf16(a.v[i]);
}
// Rounds to the nearest even integer; values in -127.5 .. 127.5. Returns the sum of what it stored.
inline int32_t store_codes(int8_t* p, Vec a) {
  int32_t sum = 0;
  for (int i = 0; i < 16; ++i) {
    p[i] = static_cast<int8_t>(static_cast<int>(__builtin_rintf(a.v[i])));
    sum += p[i];
  }
  return sum;
}
// 64 codes rounded so, plus 128.
inline void store_codes(uint8_t* p, Vec a, Vec b, Vec c, Vec d) {
  const Vec all[4] = {a, b, c, d};
  for (const Vec& v : all) {
    for (int i = 0; i < 16; ++i) *p++ = static_cast<uint8_t>(static_cast<int>(__builtin_rintf(v.v[i])) + 128);
  }
}

inline Vec operator+(Vec a, Vec b) {
  return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec operator-(Vec a, Vec b) {
  return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec operator*(Vec a, Vec b) {
  return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec operator/(Vec a, Vec b) {
  return each([&](int i) { return a.v[i] / b.v[i]; });
}
// a * b + c and c - a * b, rounded once.
inline Vec fma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
inline Vec fnma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return __builtin_fmaf(-a.v[i], b.v[i], c.v[i]); });
}
// b where either is NaN.
inline float max(float a, float b) { return a > b ? a : b; }
inline float min(float a, float b) { return a < b ? a : b; }
inline Vec max(Vec a, Vec b) {
  return each([&](int i) { return max(a.v[i], b.v[i]); });
}
inline Vec min(Vec a, Vec b) {
  return each([&](int i) { return min(a.v[i], b.v[i]); });
}
inline Vec abs(Vec a) {
  return each([&](int i) { return __builtin_fabsf(a.v[i]); });
}
inline Vec copysign(Vec magnitude, Vec sign) {
  return each([&](int i) { return __builtin_copysignf(magnitude.v[i], sign.v[i]); });
}
// The larger magnitude; NaN is above infinity.
inline Vec max_magnitude(Vec a, Vec b) {
  return each([&](int i) {
    const float x = __builtin_fabsf(a.v[i]), y = __builtin_fabsf(b.v[i]);
    return x != x || x >= y ? x : y;
  });
}
// a < b ? yes : no; false for NaN.
inline Vec select_lt(Vec a, Vec b, Vec yes, Vec no) {
  return each([&](int i) { return a.v[i] < b.v[i] ? yes.v[i] : no.v[i]; });
}
// Bit i: the magnitude of lane i is not below the limit.
inline uint64_t far_lanes(Vec a, float limit) {
  uint64_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= uint64_t{!(__builtin_fabsf(a.v[i]) < limit)} << i;
  return bits;
}
// a where begin <= lane < end, other elsewhere; 0 <= begin, end <= 16.
inline Vec keep_lanes(Vec a, int begin, int end, Vec other) {
  return each([&](int i) { return i >= begin && i < end ? a.v[i] : other.v[i]; });
}
// table[n] of the low four bits n of each lane.
inline Vec lookup(const float (&table)[16], Vec bits) {
  uint32_t n[16];
  __builtin_memcpy(n, bits.v, sizeof n);
  return each([&](int i) { return table[n[i] % 16]; });
}
// a * 2^n for integral n in -252 .. 254, rounded once; NaN gives NaN.
inline Vec scale2(Vec a, Vec n) {
  return each([&](int i) { return n.v[i] == n.v[i] ? __builtin_scalbnf(a.v[i], static_cast<int>(n.v[i])) : n.v[i]; });
}

// The fixed tree: lane i and lane i + 8, then + 4, + 2, + 1.
inline float reduce_add(Vec a) {
  for (int h = 8; h > 0; h /= 2) {
    for (int i = 0; i < h; ++i) a.v[i] = a.v[i] + a.v[i + h];
  }
  return a.v[0];
}
// The largest magnitude of both; NaN where either holds one.
inline float max_abs(Vec a, Vec b) {
  float top = 0.0f;
  for (int i = 0; i < 32; ++i) {
    const float x = __builtin_fabsf(i < 16 ? a.v[i] : b.v[i - 16]);
    if (!(x <= top)) top = x;
    if (x != x) return x;
  }
  return top;
}
inline float reduce_max(Vec a) {
  for (int h = 8; h > 0; h /= 2) {
    for (int i = 0; i < h; ++i) a.v[i] = max(a.v[i], a.v[i + h]);
  }
  return a.v[0];
}

// Lane i gets lane i ^ H.
template <int H>
inline Vec swap_lanes(Vec a) {
  return each([&](int i) { return a.v[i ^ H]; });
}

// Sixteen int32 lanes, or words of four bytes. Sums of products of codes, see kv_codes.h.
struct Ints {
  int32_t v[16];
};
template <int kBits>
struct Code {};

inline Ints load_words(const uint8_t* p) {
  Ints out;
  __builtin_memcpy(out.v, p, sizeof out.v);
  return out;
}
inline Ints set_word(const int8_t* p) {
  Ints out;
  for (int32_t& lane : out.v) __builtin_memcpy(&lane, p, 4);
  return out;
}
inline Vec to_float(Ints a) {
  return each([&](int i) { return static_cast<float>(a.v[i]); });
}
// The codes of keys in loaded words, as dot() takes them: those of 4 bits in two parts.
inline Ints codes_of(Code<8>, Ints words, int) { return words; }
inline Ints codes_of(Code<4>, Ints words, int part) {
  for (int32_t& lane : words.v) lane = static_cast<int32_t>(static_cast<uint32_t>(lane) >> 4 * part & 0x0f0f0f0fu);
  return words;
}
// dot_start() and then dot() of all words sums code * x over the bytes of each lane, x being int8 of the sum `sum`.
template <int kBits>
inline Ints dot_start(Code<kBits>, int32_t) {
  return {};
}
template <int kBits>
inline Ints dot(Code<kBits>, Ints acc, Ints codes, Ints x) {
  for (int i = 0; i < 16; ++i) {
    uint8_t c[4];
    int8_t y[4];
    __builtin_memcpy(c, codes.v + i, 4);
    __builtin_memcpy(y, x.v + i, 4);
    for (int b = 0; b < 4; ++b) acc.v[i] += (c[b] - (kBits == 8 ? 128 : 8)) * y[b];
  }
  return acc;
}
// Vector c of a row of codes of values.
inline Vec load_codes(Code<8>, const uint8_t* row, int64_t c) {
  return each([&](int i) { return static_cast<float>(static_cast<int8_t>(row[c * 16 + i])); });
}
inline Vec load_codes(Code<4>, const uint8_t* row, int64_t c) {
  return each([&](int i) { return static_cast<float>((row[c / 2 * 16 + i] >> c % 2 * 4 & 15) - 8); });
}

}  // namespace
}  // namespace miao::kernels::scalar
