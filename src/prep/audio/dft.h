// The discrete Fourier transform of 400 complex points, the window of Whisper's features: X[k] = sum x[n] e^(-2 pi i
// nk/400).
//
// Stockham's form: 400 = 4 * 4 * 5 * 5, one pass a factor from one buffer to the other, in order without a permutation.
// In double, so that what lies 80 dB below the loudest band still has four digits. Small enough not to take a library.
#pragma once

#include <array>
#include <cmath>
#include <numbers>

namespace miao::prep {

struct Complex {
  double re = 0, im = 0;
};
inline Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
inline Complex operator*(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
inline Complex operator*(double s, Complex a) { return {s * a.re, s * a.im}; }
inline Complex times_i(Complex a) { return {-a.im, a.re}; }

class Dft400 {
 public:
  static constexpr int kPoints = 400;
  using Points = std::array<Complex, kPoints>;

  Dft400() {
    for (int i = 0; i < kPoints; ++i) {
      const double angle = -2 * std::numbers::pi * i / kPoints;
      roots_[static_cast<size_t>(i)] = {std::cos(angle), std::sin(angle)};
    }
  }

  void operator()(Points& x) const {
    Points y;
    pass<4>(x, y, 400, 1);
    pass<4>(y, x, 100, 4);
    pass<5>(x, y, 25, 16);
    pass<5>(y, x, 5, 80);
  }

 private:
  // `stride` transforms of `points` points each, interleaved, become R times as many of points / R.
  template <int R>
  void pass(const Points& x, Points& y, int points, int stride) const {
    const int part = points / R;
    for (int p = 0; p < part; ++p) {
      Complex turn[R];
      for (int k = 0; k < R; ++k) turn[k] = roots_[static_cast<size_t>(p * k * stride)];
      for (int q = 0; q < stride; ++q) {
        Complex a[R];
        for (int j = 0; j < R; ++j) a[j] = x[static_cast<size_t>(q + stride * (p + part * j))];
        butterfly(a);
        for (int k = 0; k < R; ++k) y[static_cast<size_t>(q + stride * (R * p + k))] = turn[k] * a[k];
      }
    }
  }

  static void butterfly(Complex (&a)[4]) {
    const Complex even = a[0] + a[2], odd = a[1] + a[3], s = a[0] - a[2], d = times_i(a[1] - a[3]);
    a[0] = even + odd;
    a[1] = s - d;
    a[2] = even - odd;
    a[3] = s + d;
  }
  static void butterfly(Complex (&a)[5]) {
    constexpr double c1 = 0.30901699437494745, c2 = -0.80901699437494745;  // cos(2 pi / 5), cos(4 pi / 5)
    constexpr double s1 = 0.95105651629515357, s2 = 0.58778525229247314;   // sin
    const Complex p1 = a[1] + a[4], m1 = a[1] - a[4], p2 = a[2] + a[3], m2 = a[2] - a[3];
    const Complex r1 = a[0] + c1 * p1 + c2 * p2, i1 = times_i(s1 * m1 + s2 * m2);
    const Complex r2 = a[0] + c2 * p1 + c1 * p2, i2 = times_i(s2 * m1 - s1 * m2);
    a[0] = a[0] + p1 + p2;
    a[1] = r1 - i1;
    a[2] = r2 - i2;
    a[3] = r2 + i2;
    a[4] = r1 + i1;
  }

  std::array<Complex, kPoints> roots_;  // e^(-2 pi i n / 400)
};

}  // namespace miao::prep
