// What the tests of the kernels share: the tables of this machine, seeded values, exact comparison.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "base/cpu.h"
#include "kernels/kernels.h"

namespace miao::kernels {

// Tables that this processor can run, scalar first.
inline std::vector<const Kernels*> tables() {
  const Kernels* all[static_cast<size_t>(Isa::count)];
  const int n = available(cpu_features(), all);
  return {all, all + n};
}

inline std::vector<float> random_floats(size_t n, uint32_t seed, float spread = 2.0f) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> out(n);
  for (float& x : out) x = normal(engine);
  return out;
}

// Equal bits, NaN equal to any NaN.
inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) return false;
  }
  return true;
}

// Distance of `got` from the true value in units of the last place of the float nearest to it.
inline double ulps(float got, double want) {
  const float near = static_cast<float>(want);
  if (got == near || (std::isnan(got) && std::isnan(near))) return 0;
  const double unit = std::nextafter(std::fabs(near), INFINITY) - static_cast<double>(std::fabs(near));
  return std::fabs(got - want) / unit;
}

// Bytes aligned to 64.
class Aligned {
 public:
  explicit Aligned(size_t bytes) : lines_((bytes + 63) / 64) {}
  template <class T = void>
  T* as() {
    return reinterpret_cast<T*>(lines_.data());
  }

 private:
  struct alignas(64) Line {
    unsigned char bytes[64] = {};
  };
  std::vector<Line> lines_;
};

}  // namespace miao::kernels
