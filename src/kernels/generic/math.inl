// exp, tanh, the normal distribution and the activations over Vec16. Errors are 1 to 2 units in the last place; NaN
// gives NaN.
//
// Polynomials are minimax fits (Lawson iteration) of the parts named beside them; coefficients are of rising degree.

#include "kernels/generic/parts.h"

namespace miao::kernels::MIAO_ISA {
namespace {

template <int N>
inline Vec polynomial(Vec x, const float (&c)[N]) {
  Vec p = set1(c[N - 1]);
  for (int i = N - 2; i >= 0; --i) p = fma(p, x, set1(c[i]));
  return p;
}

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2. Above 88.73 it is infinity. Below -87.33 it is 0 rather
// than a subnormal number, which would cost 150 cycles; hidden scores of attention (-infinity) are on that path.
inline Vec exp(Vec x) {
  // (exp(r) - 1 - r) / r^2
  constexpr float kC[] = {4.999999404e-01f, 1.666651964e-01f, 4.166839272e-02f, 8.368780836e-03f, 1.381446724e-03f};
  constexpr float kRound = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
  constexpr float kLow = -87.33f;
  const Vec y = min(set1(89.0f), max(set1(kLow), x));
  const Vec n = fma(y, set1(0x1.715476p+0f), set1(kRound)) - set1(kRound);
  Vec r = fnma(n, set1(0x1.62e4p-1f), y);  // ln 2 in two parts
  r = fnma(n, set1(1.428606820e-06f), r);
  return select_lt(x, set1(kLow), set1(0.0f), scale2(fma(polynomial(r, kC), r * r, r) + set1(1.0f), n));
}

inline Vec tanh(Vec x) {
  // (tanh(x) - x) / x^3 in x^2, |x| < 0.625
  constexpr float kC[] = {-3.333328068e-01f, 1.333144158e-01f, -5.373971537e-02f, 2.063908614e-02f, -5.704986863e-03f};
  const Vec a = abs(x);
  const Vec z = a * a;
  const Vec small = fma(polynomial(z, kC), z * a, a);
  const Vec large = set1(1.0f) - set1(2.0f) / (exp(a + a) + set1(1.0f));
  return copysign(select_lt(a, set1(0.625f), small, large), x);
}

// The normal distribution function less 1/2. |x| is n steps of 0.375 and a rest t; of each n there is a polynomial in
// t.
MIAO_INLINE Vec normal(Vec x) {
  // [power of t][n]; the last n stands for all beyond 5.625, where it is 1/2
  constexpr float kC[6][16] = {
      {0.0f, 0.146169767f, 0.27337265f, 0.369705468f, 0.43319279f, 0.469603628f, 0.487775534f, 0.495667547f,
       0.498650104f, 0.499630928f, 0.499911577f, 0.499981463f, 0.499996603f, 0.499999464f, 0.499999911f, 0.5f},
      {0.398942262f, 0.37185508f, 0.301137447f, 0.211876646f, 0.1295176f, 0.0687862784f, 0.0317396522f, 0.0127241807f,
       0.00443184795f, 0.00134111894f, 0.000352595816f, 8.05405507e-05f, 1.59837873e-05f, 2.75595835e-06f,
       4.12851335e-07f, 0.0f},
      {0.0f, -0.0697210059f, -0.112924434f, -0.119179703f, -0.0971386507f, -0.064488098f, -0.0357077979f,
       -0.0167006981f, -0.00664769718f, -0.00226300396f, -0.000661024824f, -0.000166071404f, -3.59478436e-05f,
       -6.71312137e-06f, -1.08266318e-06f, 0.0f},
      {-0.0664891005f, -0.0532597825f, -0.0219583046f, 0.00937905442f, 0.0269822311f, 0.0288400594f, 0.0214906726f,
       0.0124924751f, 0.00590922311f, 0.00232250267f, 0.000767597638f, 0.000214961212f, 5.1270672e-05f, 1.04532155e-05f,
       1.82674432e-06f, 0.0f},
      {0.0f, 0.0164752789f, 0.0227785204f, 0.0171564892f, 0.00610544393f, -0.00269761356f, -0.00608494412f,
       -0.0053988006f, -0.00332963513f, -0.00159261469f, -0.000616452249f, -0.0001972959f, -5.28765013e-05f,
       -1.19641518e-05f, -2.29838088e-06f, 0.0f},
      {0.00990082882f, 0.00670249574f, -0.000126083571f, -0.00523131806f, -0.00583452266f, -0.00328577007f,
       -0.00047796758f, 0.000954890274f, 0.00110275112f, 0.000720221666f, 0.000343808817f, 0.000129127759f,
       3.94320414e-05f, 9.96860308e-06f, 2.10971211e-06f, 0.0f},
  };
  constexpr float kStep = 0.375f, kRound = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
  const Vec a = min(set1(15 * kStep), abs(x));         // abs(x) where NaN
  const Vec bits = fma(a, set1(1 / kStep), set1(kRound));
  const Vec t = fnma(bits - set1(kRound), set1(kStep), a);
  Vec p = lookup(kC[5], bits);
  MIAO_UNROLL for (int i = 4; i >= 0; --i) p = fma(p, t, lookup(kC[i], bits));
  return copysign(p, x);
}

inline Vec silu(Vec x) { return x / (set1(1.0f) + exp(set1(0.0f) - x)); }

inline Vec gelu(Vec x) { return fma(x, normal(x), set1(0.5f) * x); }

inline Vec gelu_tanh(Vec x) {
  const Vec inner = fma(x * x * set1(0.044715f), x, x) * set1(0.79788456f);
  const Vec half = set1(0.5f) * x;
  return fma(half, tanh(inner), half);
}

inline Vec relu(Vec x) { return max(set1(0.0f), x); }

}  // namespace
}  // namespace miao::kernels::MIAO_ISA
