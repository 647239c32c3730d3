#include "measure/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace miao::measure {

TokenView view(const kernels::Kernels& k, std::span<const float> logits, int32_t token, std::span<float> p) {
  const auto n = static_cast<int64_t>(logits.size());
  k.softmax(logits.data(), n, 1, p.data());
  TokenView out;
  out.top = k.argmax(logits.data(), n);
  const auto top = static_cast<size_t>(out.top);
  out.log_sum = double{logits[top]} - std::log(double{p[top]});  // the largest share is far from zero
  out.nll = out.log_sum - double{logits[static_cast<size_t>(token)]};
  return out;
}

Divergence divergence(std::span<const float> base, double base_log_sum, std::span<const float> p,
                      std::span<const float> other, double other_log_sum, std::span<const float> q) {
  MIAO_CHECK(base.size() == other.size() && p.size() >= base.size() && q.size() >= base.size());
  constexpr size_t kLanes = 8;  // sums side by side, so that the compiler makes vectors of them
  const double apart = base_log_sum - other_log_sum;
  double kl[kLanes] = {}, tv[kLanes] = {};
  const auto term = [&](size_t i, size_t lane) {
    kl[lane] += double{p[i]} * (double{base[i]} - double{other[i]} - apart);
    tv[lane] += double{std::fabs(p[i] - q[i])};
  };
  size_t i = 0;
  for (; i + kLanes <= base.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) term(i + lane, lane);
  }
  for (; i < base.size(); ++i) term(i, 0);
  const auto sum = [](const double* x) { return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7])); };
  const double all = sum(kl);
  return {all < 0 ? 0 : all, sum(tv) / 2};  // a NaN stays
}

}  // namespace miao::measure
