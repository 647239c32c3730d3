// Sixteen floats at once, in as many registers as the instruction set that the file is compiled for needs, and eight
// (half of them). Operations are IEEE and element-wise, without contraction, and sums of lanes have one fixed tree, so
// all give the same bits. Registers of 512 bits would gain nothing: half of the work is scalar, and that is slower
// beside them.
//
// Everything that is built on this stands in the namespace of its instruction set (MIAO_LANES) and calls no inline
// function of the standard library: the linker keeps one copy of those for everybody.
#pragma once

#include <cstring>

#if defined(__AVX2__)
#define MIAO_LANES lanes_avx2
#else
#define MIAO_LANES lanes_generic
#endif

namespace miao::compress {
inline namespace MIAO_LANES {

template <class T>
struct Pair {
  T low, high;
};

using F4 = float __attribute__((vector_size(16)));
#if defined(__AVX2__)
using F8 = float __attribute__((vector_size(32)));
using Half = F8;
#else
using Half = Pair<F4>;
#endif
using Vec = Pair<Half>;
static_assert(sizeof(Vec) == 64);

template <class T>
static inline Pair<T> operator+(Pair<T> a, Pair<T> b) {
  return {a.low + b.low, a.high + b.high};
}
template <class T>
static inline Pair<T> operator-(Pair<T> a, Pair<T> b) {
  return {a.low - b.low, a.high - b.high};
}
template <class T>
static inline Pair<T> operator*(Pair<T> a, Pair<T> b) {
  return {a.low * b.low, a.high * b.high};
}
template <class T>
static inline Pair<T> operator/(Pair<T> a, Pair<T> b) {
  return {a.low / b.low, a.high / b.high};
}

template <class T>
static inline T lesser(T a, T b) {
  return a < b ? a : b;
}
template <class T>
static inline T greater(T a, T b) {
  return a > b ? a : b;
}
template <class T>
static inline Pair<T> lesser(Pair<T> a, Pair<T> b) {
  return {lesser(a.low, b.low), lesser(a.high, b.high)};
}
template <class T>
static inline Pair<T> greater(Pair<T> a, Pair<T> b) {
  return {greater(a.low, b.low), greater(a.high, b.high)};
}
// `then` where a < b, else `other`.
template <class T>
static inline T if_less(T a, T b, T then, T other) {
  return a < b ? then : other;
}
template <class T>
static inline Pair<T> if_less(Pair<T> a, Pair<T> b, Pair<T> then, Pair<T> other) {
  return {if_less(a.low, b.low, then.low, other.low), if_less(a.high, b.high, then.high, other.high)};
}
// Whether a < b in any lane.
static inline bool any_less(float a, float b) { return a < b; }
static inline bool any_less(F4 a, F4 b) {
  const auto mask = a < b;
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
}
#if defined(__AVX2__)
static inline bool any_less(F8 a, F8 b) {
  const auto mask = a < b;
  long long parts[4];
  std::memcpy(parts, &mask, sizeof(parts));
  return (parts[0] | parts[1] | parts[2] | parts[3]) != 0;
}
#endif
template <class T>
static inline bool any_less(Pair<T> a, Pair<T> b) {
  return any_less(a.low, b.low) || any_less(a.high, b.high);
}
// `step` where y is at least `edge`, else 0.
template <class T>
static inline T step_at(T y, T edge, T step) {
  return y >= edge ? step : step - step;
}
template <class T>
static inline Pair<T> step_at(Pair<T> y, Pair<T> edge, Pair<T> step) {
  return {step_at(y.low, edge.low, step.low), step_at(y.high, edge.high, step.high)};
}

// The lanes i, i + 4, i + 8 and i + 12 added to lane i.
static inline F4 quarter(F4 v) { return v; }
#if defined(__AVX2__)
static inline F4 quarter(F8 v) {
  F4 half[2];
  std::memcpy(half, &v, sizeof(half));
  return half[0] + half[1];
}
#endif
template <class T>
static inline F4 quarter(Pair<T> v) {
  return quarter(v.low + v.high);
}

static inline float sum(Vec v) {
  const F4 four = quarter(v);
  return (four[0] + four[2]) + (four[1] + four[3]);
}
// The sums of four vectors, each as sum() makes it.
static inline F4 sums(Vec a, Vec b, Vec c, Vec d) {
  const F4 a4 = quarter(a), b4 = quarter(b), c4 = quarter(c), d4 = quarter(d);
  const F4 ab = __builtin_shufflevector(a4, b4, 0, 4, 1, 5) + __builtin_shufflevector(a4, b4, 2, 6, 3, 7);
  const F4 cd = __builtin_shufflevector(c4, d4, 0, 4, 1, 5) + __builtin_shufflevector(c4, d4, 2, 6, 3, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

// Register by register: a copy of the whole goes through memory in pieces that stall the loads behind it.
template <class T>
static inline void load(T& v, const float* from) {
  std::memcpy(&v, from, sizeof(v));
}
template <class T>
static inline void load(Pair<T>& v, const float* from) {
  load(v.low, from);
  load(v.high, from + sizeof(T) / sizeof(float));
}
template <class T = Vec>
static inline T load(const float* from) {
  T out;
  load(out, from);
  return out;
}
template <class T>
static inline void store(float* to, T v) {
  std::memcpy(to, &v, sizeof(v));
}

static inline void fill(float& v, float x) { v = x; }
static inline void fill(F4& v, float x) { v = F4{x, x, x, x}; }
#if defined(__AVX2__)
static inline void fill(F8& v, float x) { v = F8{x, x, x, x, x, x, x, x}; }
#endif
template <class T>
static inline void fill(Pair<T>& v, float x) {
  fill(v.low, x);
  fill(v.high, x);
}
template <class T = Vec>
static inline T splat(float x) {
  T v;
  fill(v, x);
  return v;
}

// Nearest integer, ties to even; |v| below 2^22.
template <class T>
static inline T round_even(T v) {
  const T magic = splat<T>(12582912.0f);  // 1.5 * 2^23
  return (v + magic) - magic;
}

template <class T>
static inline T magnitude(T v) {
  return if_less(v, splat<T>(0), splat<T>(0) - v, v);
}
static inline float clamped(float v, float low, float high) { return lesser(greater(v, low), high); }

// Never infinite: values that such a scale could meet are zero or rounded to the last level anyway. 0 for 0.
template <class T>
static inline T reciprocal(T scale) {
  const T zero = splat<T>(0), largest = splat<T>(3.0e38f);
  const T inverse = lesser(greater(splat<T>(1) / scale, zero - largest), largest);
  return if_less(zero, magnitude(scale), inverse, zero);
}

static inline float root(float v) { return __builtin_sqrtf(v); }
static inline F4 root(F4 v) { return F4{root(v[0]), root(v[1]), root(v[2]), root(v[3])}; }
#if defined(__AVX2__)
static inline F8 root(F8 v) {
  for (int i = 0; i < 8; ++i) v[i] = root(v[i]);
  return v;
}
#endif
template <class T>
static inline Pair<T> root(Pair<T> v) {
  return {root(v.low), root(v.high)};
}

}  // namespace MIAO_LANES
}  // namespace miao::compress
