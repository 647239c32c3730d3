// The scalings, one function each.
#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace miao::models {

namespace {

using Scaling = RopeSpec::Scaling;
using std::numbers::pi;

std::vector<float> plain_frequencies(double theta, int64_t dim) {
  std::vector<float> out(static_cast<size_t>(dim / 2));
  for (size_t i = 0; i < out.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    out[i] = 1.0f / std::pow(static_cast<float>(theta), exponent);
  }
  return out;
}

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

void scale_llama3(const RopeSpec& r, std::vector<float>& frequency) {
  const auto ctx = static_cast<double>(r.original_ctx);
  const auto low = static_cast<float>(ctx / r.low_freq_factor);
  const auto high = static_cast<float>(ctx / r.high_freq_factor);
  const auto factor = static_cast<float>(r.factor);
  for (float& f : frequency) {
    const float wavelength = static_cast<float>(2 * pi) / f;
    if (wavelength < high) continue;
    if (wavelength > low) {
      f /= factor;
      continue;
    }
    const float smooth = (static_cast<float>(ctx) / wavelength - static_cast<float>(r.low_freq_factor)) /
                         static_cast<float>(r.high_freq_factor - r.low_freq_factor);
    f = (1 - smooth) * f / factor + smooth * f;
  }
}

void scale_yarn(const RopeSpec& r, int64_t dim, std::vector<float>& frequency) {
  // The dimension that turns `rotations` times over the original context.
  const auto dimension = [&](double rotations) {
    return static_cast<double>(dim) * std::log(static_cast<double>(r.original_ctx) / (rotations * 2 * pi)) /
           (2 * std::log(r.theta));
  };
  double low = dimension(r.beta_fast);
  double high = dimension(r.beta_slow);
  if (r.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequency.size(); ++i) {
    const float ramp = (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float keep = 1 - std::clamp(ramp, 0.0f, 1.0f);
    const float stretched = 1.0f / (static_cast<float>(r.factor) * (1.0f / frequency[i]));
    frequency[i] = stretched * (1 - keep) + frequency[i] * keep;
  }
}

}  // namespace

const char* scaling_name(Scaling scaling) {
  constexpr const char* kNames[] = {"none", "linear", "dynamic", "llama3", "yarn", "longrope"};
  return kNames[static_cast<size_t>(scaling)];
}

int64_t ctx_of_scaling(const RopeSpec& r, int64_t model_ctx) {
  return r.scaling == Scaling::dynamic ? model_ctx : r.scaling == Scaling::longrope ? r.original_ctx : 0;
}

RopeTable rope_table(const RopeSpec& r, int64_t dim, int64_t model_ctx, int64_t ctx) {
  RopeTable out;
  double theta = r.theta;
  if (r.scaling == Scaling::dynamic && dim > 2) {
    const auto stretch = static_cast<double>(std::max(ctx, model_ctx)) / static_cast<double>(model_ctx);
    const auto d = static_cast<double>(dim);
    theta *= std::pow(r.factor * stretch - (r.factor - 1), d / (d - 2));
  }
  out.frequency = plain_frequencies(theta, dim);
  double attention = 1;
  switch (r.scaling) {
    case Scaling::none:
    case Scaling::dynamic:
      break;
    case Scaling::linear:
      for (float& f : out.frequency) f /= static_cast<float>(r.factor);
      break;
    case Scaling::llama3:
      scale_llama3(r, out.frequency);
      break;
    case Scaling::yarn:
      scale_yarn(r, dim, out.frequency);
      attention = r.mscale != 0 && r.mscale_all_dim != 0
                      ? yarn_mscale(r.factor, r.mscale) / yarn_mscale(r.factor, r.mscale_all_dim)
                      : yarn_mscale(r.factor, 1);
      break;
    case Scaling::longrope: {
      const auto& factors = ctx > r.original_ctx ? r.long_factor : r.short_factor;
      for (size_t i = 0; i < factors.size(); ++i) {
        out.frequency[i] = 1.0f / (static_cast<float>(factors[i]) * (1.0f / out.frequency[i]));
      }
      if (r.factor > 1) attention = std::sqrt(1 + std::log(r.factor) / std::log(static_cast<double>(r.original_ctx)));
      break;
    }
  }
  for (size_t i = 0; i < r.divisors.size(); ++i) out.frequency[i] /= static_cast<float>(r.divisors[i]);
  out.factor = static_cast<float>((r.attention_factor != 0 ? r.attention_factor : attention) * r.attention_multiplier);
  return out;
}

}  // namespace miao::models
