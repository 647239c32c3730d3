// exp, tanh, erf and the activations over Vec16. Errors are 1 to 2 units in the last place; NaN gives NaN.
//
// Polynomials are minimax fits (Lawson iteration) of the parts named beside them; coefficients are of rising degree.

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

inline Vec erf(Vec x) {
  // erf(x) / x - 1 in x^2, |x| < 0.921875
  constexpr float kSmall[] = {1.283791661e-01f, -3.761263490e-01f, 1.128369272e-01f, -2.685922571e-02f,
                              5.200604443e-03f, -8.137852419e-04f, 8.349603013e-05f};
  // (ln(1 - erf(x)) + x) / x up to x = 4, beyond which erf is 1
  constexpr float kLarge[] = {-1.285143644e-01f, -6.357182860e-01f, -1.052618399e-01f,
                              2.288996428e-02f,  -3.214955796e-03f, 2.139849676e-04f};
  const Vec a = abs(x);
  const Vec small = fma(polynomial(a * a, kSmall), a, a);
  const Vec b = min(set1(4.0f), a);  // a where NaN
  const Vec large = set1(1.0f) - exp(fma(polynomial(b, kLarge), b, set1(0.0f) - b));
  return copysign(select_lt(a, set1(0.921875f), small, large), x);
}

inline Vec silu(Vec x) { return x / (set1(1.0f) + exp(set1(0.0f) - x)); }

inline Vec gelu(Vec x) {
  const Vec half = set1(0.5f) * x;
  return fma(half, erf(x * set1(0.70710678f)), half);
}

inline Vec gelu_tanh(Vec x) {
  const Vec inner = fma(x * x * set1(0.044715f), x, x) * set1(0.79788456f);
  const Vec half = set1(0.5f) * x;
  return fma(half, tanh(inner), half);
}

inline Vec relu(Vec x) { return max(set1(0.0f), x); }

}  // namespace
}  // namespace miao::kernels::MIAO_ISA
