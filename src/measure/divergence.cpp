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

namespace {

// ln(1 + e^x) without overflow.
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

double log_sum_of(std::span<const float> x) {
  const double top = double{*std::ranges::max_element(x)};
  double sum = 0;
  for (const float v : x) sum += std::exp(double{v} - top);
  return top + std::log(sum);
}

}  // namespace

double kl_of_one_class(std::span<const float> base, std::span<const float> other) {
  const double base_sum = log_sum_of(base), sum = log_sum_of(other);
  double out = 0;
  for (size_t i = 0; i < base.size(); ++i) {
    const double p = double{base[i]} - base_sum;
    out += std::exp(p) * (p - (double{other[i]} - sum));
  }
  return std::max(0.0, out);
}

double kl_of_each_class(std::span<const float> base, std::span<const float> other) {
  double out = 0;
  for (size_t i = 0; i < base.size(); ++i) {
    const double x = double{base[i]}, y = double{other[i]}, p = 1 / (1 + std::exp(-x));
    out += p * (softplus(-y) - softplus(-x)) + (1 - p) * (softplus(y) - softplus(x));
  }
  return std::max(0.0, out);
}

}  // namespace miao::measure
