#include "compress/fold/rotation.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace miao::compress {

Rotation::Rotation(int64_t n, uint64_t seed) : n_(n), power_(n & -n), odd_(n / power_) {
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < n; ++i) sign_.push_back(random() % 2 ? 1.0 : -1.0);
  const auto m = static_cast<double>(odd_);
  for (int64_t k = 0; k < odd_; ++k) {
    for (int64_t i = 0; i < odd_; ++i) {
      const double angle = std::numbers::pi / m * (static_cast<double>(i) + 0.5) * static_cast<double>(k);
      cosines_.push_back(std::sqrt((k == 0 ? 1 : 2) / m) * std::cos(angle));
    }
  }
}

void Rotation::apply(double* x, double* scratch) const {
  for (int64_t i = 0; i < n_; ++i) x[i] *= sign_[static_cast<size_t>(i)];
  const double norm = 1 / std::sqrt(static_cast<double>(power_));
  for (int64_t part = 0; part < odd_; ++part) {
    double* const own = x + part * power_;
    for (int64_t half = 1; half < power_; half *= 2) {
      for (int64_t at = 0; at < power_; at += 2 * half) {
        for (int64_t i = at; i < at + half; ++i) {
          const double a = own[i], b = own[i + half];
          own[i] = a + b;
          own[i + half] = a - b;
        }
      }
    }
  }
  std::fill_n(scratch, n_, 0.0);
  for (int64_t k = 0; k < odd_; ++k) {
    for (int64_t part = 0; part < odd_; ++part) {
      const double factor = norm * cosines_[static_cast<size_t>(k * odd_ + part)];
      for (int64_t i = 0; i < power_; ++i) scratch[k * power_ + i] += factor * x[part * power_ + i];
    }
  }
  std::copy_n(scratch, n_, x);
}

}  // namespace miao::compress
