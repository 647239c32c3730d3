// Two distributions of the next token, compared over the whole vocabulary.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/table.h"

namespace miao::measure {

// What logits say. `p` gets their softmax.
struct TokenView {
  double log_sum = 0;  // ln(sum(exp(logits))); not finite where a logit is not
  int64_t top = 0;     // the likeliest token
  double nll = 0;      // -ln p of the token that came
};
TokenView view(const kernels::Kernels& k, std::span<const float> logits, int32_t token, std::span<float> p);

struct Divergence {
  double kl = 0;  // sum p ln(p / q), p the base's; at least 0
  double tv = 0;  // sum |p - q| / 2
};
// Sums are in double; terms have the accuracy of FP32 shares, some 1e-7 of their size. The same logits give 0.
Divergence divergence(std::span<const float> base, double base_log_sum, std::span<const float> p,
                      std::span<const float> other, double other_log_sum, std::span<const float> q);

// KL divergence, in nats, of a head's classes from the base's, given what comes out of the heads: one of all classes
// holds, or each holds or does not by itself (the sum over classes).
double kl_of_one_class(std::span<const float> base, std::span<const float> other);
double kl_of_each_class(std::span<const float> base, std::span<const float> other);

}  // namespace miao::measure
