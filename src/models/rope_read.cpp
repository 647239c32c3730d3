// Where files write the rotation's hyper-parameters.
#include <cmath>
#include <string>

#include "models/keys.h"
#include "models/rope.h"

namespace miao::models {

namespace {

using Scaling = RopeSpec::Scaling;

constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;
constexpr int64_t kMaxCtx = int64_t{1} << 30;

// Yarn divides by log(theta) and by the scale of mscale_all_dim.
Result<void> check_yarn(const Source& source, const RopeSpec& r, Key theta, Key mscale) {
  if (r.theta <= 1) return source.invalid(theta, "is 1, expected more for yarn scaling");
  if (r.factor > 1 && 0.1 * r.mscale_all_dim * std::log(r.factor) + 1 <= 0) {
    return source.invalid(mscale, "makes the scale of attention negative or infinite");
  }
  return {};
}

// Factors of each pair, by key or tensor: (dim / 2) positive numbers.
Result<void> check_factors(const std::vector<double>& factors, int64_t dim, const std::string& where) {
  if (static_cast<int64_t>(factors.size()) != dim / 2) {
    return Error{Code::invalid,
                 "has " + std::to_string(factors.size()) + " values, expected " + std::to_string(dim / 2), where};
  }
  for (double f : factors) {
    if (!(f > 1e-6 && f < kMaxFactor)) return Error{Code::invalid, "has a value that is not a sane factor", where};
  }
  return {};
}

Result<std::vector<double>> factor_tensor(const Source& source, const char* name, int64_t dim) {
  std::vector<double> out;
  const TensorView* t = source.checkpoint().find(name);
  if (!t) return out;
  if (t->dtype != DType::f32 || t->elements() != dim / 2) {
    return Error{Code::invalid, "expected " + std::to_string(dim / 2) + " F32 values", source.place(name)};
  }
  std::vector<float> values(static_cast<size_t>(dim / 2));
  format(DType::f32).decode(t->data, values.data(), dim / 2);
  out.assign(values.begin(), values.end());
  MIAO_CHECK_OK(check_factors(out, dim, source.place(name)));
  return out;
}

Result<RopeSpec> read_gguf(const Source& source, int64_t dim, int64_t ctx, double default_theta) {
  RopeSpec r;
  MIAO_TRY(r.theta, source.number(kTheta, 1, kMaxTheta, default_theta));
  MIAO_TRY(std::string type, source.string(kScaling, "linear"));
  MIAO_TRY(double linear, source.number({"rope.scale_linear", nullptr}, 0, kMaxFactor, 1));
  MIAO_TRY(r.factor, source.number(kScalingFactor, 0, kMaxFactor, linear));
  if (r.factor == 0) r.factor = 1;
  MIAO_TRY(r.original_ctx, source.integer(kOriginalCtx, 1, kMaxCtx, ctx));
  MIAO_TRY(double attention, source.number(kAttentionFactor, 1e-6, kMaxFactor, 1));
  MIAO_TRY(r.divisors, factor_tensor(source, kFrequencyFactors, dim));
  if (type == "none") return r;
  if (type == "linear") {
    r.scaling = r.factor == 1 ? Scaling::none : Scaling::linear;
  } else if (type == "yarn") {
    r.scaling = Scaling::yarn;
    MIAO_TRY(r.beta_fast, source.number(kYarnFast, 1e-6, kMaxFactor, 32));
    MIAO_TRY(r.beta_slow, source.number(kYarnSlow, 1e-6, kMaxFactor, 1));
    MIAO_TRY(r.mscale_all_dim, source.number(kYarnLogMultiplier, -kMaxFactor, kMaxFactor, 0));
    r.mscale = r.mscale_all_dim != 0 ? 1 : 0;
    MIAO_CHECK_OK(check_yarn(source, r, kTheta, kYarnLogMultiplier));
    // Converters write the attention factor of the original model here, when it has one.
    MIAO_TRY(double whole, source.number(kYarnAttention, 1e-6, kMaxFactor, 0));
    r.attention_factor = whole;
    r.attention_multiplier = whole != 0 ? 1 : attention;
  } else if (type == "longrope") {
    r.scaling = Scaling::longrope;
    r.attention_factor = attention;
    MIAO_TRY(r.short_factor, factor_tensor(source, kShortFactors, dim));
    MIAO_TRY(r.long_factor, factor_tensor(source, kLongFactors, dim));
    if (r.short_factor.empty() || r.long_factor.empty()) {
      return Error{Code::not_found, "longrope needs the tensors rope_factors_short.weight and rope_factors_long.weight",
                   source.checkpoint().meta().source()};
    }
  } else {
    return source.unsupported(kScaling, "is '" + type + "', expected none, linear, yarn or longrope");
  }
  return r;
}

Result<RopeSpec> read_hf(const Source& source, int64_t dim, int64_t ctx, double default_theta,
                         const std::string& layer_type, bool scaled) {
  const auto here = [&](const std::string& prefix) {
    return source.has({nullptr, (prefix + "rope_type").c_str()}) ||
           source.has({nullptr, (prefix + "rope_theta").c_str()}) || source.has({nullptr, (prefix + "type").c_str()});
  };
  std::string prefix = "rope_parameters." + layer_type + ".";
  if (!here(prefix)) prefix = "rope_parameters.";
  if (!here(prefix)) prefix = "rope_scaling.";
  if (!here(prefix) || (!scaled && prefix == "rope_scaling.")) prefix.clear();
  const auto number = [&](const char* name, double low, double high, double fallback) {
    return source.number({nullptr, (prefix + name).c_str()}, low, high, fallback);
  };

  RopeSpec r;
  MIAO_TRY(r.theta, source.number({nullptr, "rope_theta"}, 1, kMaxTheta, default_theta));
  if (prefix.empty()) return r;
  MIAO_TRY(r.theta, number("rope_theta", 1, kMaxTheta, r.theta));
  const std::string type_name = prefix + (source.has({nullptr, (prefix + "rope_type").c_str()}) ? "rope_type" : "type");
  const Key type_key{nullptr, type_name.c_str()};
  MIAO_TRY(std::string type, source.string(type_key, "default"));
  if (type == "default" || type == "mrope") return r;

  const std::string original = prefix + "original_max_position_embeddings";
  MIAO_TRY(r.original_ctx, source.integer({nullptr, original.c_str()}, 1, kMaxCtx, ctx));
  MIAO_TRY(r.original_ctx, source.integer({nullptr, "original_max_position_embeddings"}, 1, kMaxCtx, r.original_ctx));
  const bool derived = type == "yarn" || type == "longrope" || type == "su";
  const auto stretched = static_cast<double>(ctx) / static_cast<double>(r.original_ctx);
  const std::string factor_name = prefix + "factor";
  const Key factor_key{nullptr, factor_name.c_str()};
  if (derived || source.has(factor_key)) {
    MIAO_TRY(r.factor, source.number(factor_key, 1e-6, kMaxFactor, stretched));
  } else {
    return source.invalid(factor_key, "is missing for rope type '" + type + "'");
  }
  MIAO_TRY(r.attention_factor, number("attention_factor", 1e-6, kMaxFactor, 0));
  if (type == "linear") {
    r.scaling = Scaling::linear;
    r.attention_factor = 0;
  } else if (type == "dynamic") {
    r.scaling = Scaling::dynamic;
    r.attention_factor = 0;
  } else if (type == "llama3") {
    r.scaling = Scaling::llama3;
    r.attention_factor = 0;
    MIAO_TRY(r.low_freq_factor, number("low_freq_factor", 1e-6, kMaxFactor, 1));
    MIAO_TRY(r.high_freq_factor, number("high_freq_factor", 1e-6, kMaxFactor, 4));
    if (r.high_freq_factor <= r.low_freq_factor) {
      return source.invalid({nullptr, (prefix + "high_freq_factor").c_str()}, "must be larger than low_freq_factor");
    }
  } else if (type == "yarn") {
    r.scaling = Scaling::yarn;
    MIAO_TRY(r.beta_fast, number("beta_fast", 1e-6, kMaxFactor, 32));
    MIAO_TRY(r.beta_slow, number("beta_slow", 1e-6, kMaxFactor, 1));
    MIAO_TRY(r.mscale, number("mscale", 0, kMaxFactor, 0));
    MIAO_TRY(r.mscale_all_dim, number("mscale_all_dim", 0, kMaxFactor, 0));
    std::string theta = prefix + "rope_theta";
    if (!source.has({nullptr, theta.c_str()})) theta = "rope_theta";
    MIAO_CHECK_OK(check_yarn(source, r, {nullptr, theta.c_str()}, {nullptr, (prefix + "mscale_all_dim").c_str()}));
    MIAO_TRY(r.truncate, source.boolean({nullptr, (prefix + "truncate").c_str()}, true));
  } else if (type == "longrope" || type == "su") {
    r.scaling = Scaling::longrope;
    MIAO_TRY(r.short_factor, source.numbers({nullptr, (prefix + "short_factor").c_str()}));
    const std::string where = source.checkpoint().meta().source() + ": " + prefix;
    MIAO_CHECK_OK(check_factors(r.short_factor, dim, where + "short_factor"));
    MIAO_TRY(r.long_factor, source.numbers({nullptr, (prefix + "long_factor").c_str()}));
    MIAO_CHECK_OK(check_factors(r.long_factor, dim, where + "long_factor"));
    if (r.original_ctx < 2) return source.invalid({nullptr, original.c_str()}, "must be at least 2");
  } else {
    return source.unsupported(type_key,
                              "is '" + type + "', expected default, linear, dynamic, llama3, yarn or longrope");
  }
  return r;
}

}  // namespace

Result<RopeSpec> read_rope(const Source& source, int64_t dim, int64_t model_ctx, double default_theta) {
  return source.gguf() ? read_gguf(source, dim, model_ctx, default_theta)
                       : read_hf(source, dim, model_ctx, default_theta, "full_attention", true);
}

Result<RopeSpec> read_local_rope(const Source& source, int64_t dim, int64_t model_ctx, double default_theta) {
  if (!source.gguf() && source.has({nullptr, "rope_parameters.sliding_attention.rope_theta"})) {
    return read_hf(source, dim, model_ctx, default_theta, "sliding_attention", false);
  }
  RopeSpec r;
  MIAO_TRY(r.theta, source.number(kLocalTheta, 1, kMaxTheta, default_theta));
  return r;
}

}  // namespace miao::models
