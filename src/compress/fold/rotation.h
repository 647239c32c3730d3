// An orthogonal matrix that multiplies in n log n: signs, then Hadamard's matrix of a power of two times the cosine
// transform of what is left of n.
#pragma once

#include <cstdint>
#include <vector>

namespace miao::compress {

class Rotation {
 public:
  explicit Rotation(int64_t n, uint64_t seed = 1);
  int64_t size() const { return n_; }
  // x = x Q, of one row of n values. `scratch`: n of them.
  void apply(double* x, double* scratch) const;

 private:
  int64_t n_, power_, odd_;             // n = power * odd
  std::vector<double> sign_, cosines_;  // (n), (odd, odd)
};

}  // namespace miao::compress
