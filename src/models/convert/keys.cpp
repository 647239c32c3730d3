// A ModelSpec as the keys of a GGUF file; models/keys.h has their names. What an architecture alone has is in the row
// of its family.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/convert/parts.h"
#include "models/keys.h"
#include "models/rope.h"

namespace miao::models {

namespace {

using Scaling = RopeSpec::Scaling;

// What Llama 3 divides each frequency by, in the order of operations of llama.cpp's converter.
std::vector<float> llama3_factors(const RopeSpec& r, int64_t dim) {
  std::vector<float> out;
  for (int64_t i = 0; i < dim; i += 2) {
    const double wavelength =
        2 * std::numbers::pi * std::pow(r.theta, static_cast<double>(i) / static_cast<double>(dim));
    const double turns = static_cast<double>(r.original_ctx) / wavelength;
    const double ramp = (turns - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
    const double smooth = std::clamp(ramp, 0.0, 1.0);
    out.push_back(static_cast<float>(1 / ((1 - smooth) / r.factor + smooth)));
  }
  return out;
}

ConvertedTensor factors(const char* name, const std::vector<double>& values) {
  return {name, {static_cast<int64_t>(values.size())}, DType::f32, std::vector<float>(values.begin(), values.end())};
}

void write_yarn(const RopeSpec& r, const ModelSpec& s, KeyWriter& keys) {
  keys.text(kScaling, scaling_name(r.scaling));
  keys.number(kScalingFactor, r.factor);
  keys.count(kOriginalCtx, r.original_ctx);
  keys.number(kYarnFast, r.beta_fast);
  keys.number(kYarnSlow, r.beta_slow);
  RopeSpec usual = r;
  usual.attention_factor = usual.mscale = usual.mscale_all_dim = 0;
  usual.attention_multiplier = 1;
  const int64_t dim = s.block.attn.rotary_dim;
  const float own = rope_table(r, dim, s.ctx, s.ctx).factor;
  if (own != rope_table(usual, dim, s.ctx, s.ctx).factor) keys.number(kYarnAttention, static_cast<double>(own));
}

void write_rope(const ModelSpec& s, KeyWriter& keys, std::vector<ConvertedTensor>& tensors) {
  const RopeSpec& r = s.rope;
  const int64_t dim = s.block.attn.rotary_dim;
  keys.count(kRotaryDim, dim);
  keys.number(kTheta, r.theta);
  if (!r.divisors.empty()) tensors.push_back(factors(kFrequencyFactors, r.divisors));
  if (r.scaling == Scaling::linear) {
    keys.text(kScaling, scaling_name(r.scaling));
    keys.number(kScalingFactor, r.factor);
  } else if (r.scaling == Scaling::llama3) {
    tensors.emplace_back(kFrequencyFactors, std::vector<int64_t>{dim / 2}, DType::f32, llama3_factors(r, dim));
  } else if (r.scaling == Scaling::yarn) {
    write_yarn(r, s, keys);
  } else if (r.scaling == Scaling::longrope) {
    keys.text(kScaling, scaling_name(r.scaling));
    keys.count(kOriginalCtx, r.original_ctx);
    keys.number(kAttentionFactor, static_cast<double>(rope_table(r, dim, s.ctx, s.ctx).factor));
    tensors.push_back(factors(kLongFactors, r.long_factor));
    tensors.push_back(factors(kShortFactors, r.short_factor));
  }
}

void write_encoder(const ModelSpec& s, KeyWriter& keys) {
  keys.flag({"attention.causal", nullptr}, false);
  // Readers want one segment where there is no table of them.
  keys.metadata().set("tokenizer.ggml.token_type_count", static_cast<uint32_t>(std::max<int64_t>(s.token_types, 1)));
  bool own = false;
  for (size_t i = 0; i < s.head.labels.size(); ++i) own |= s.head.labels[i] != "LABEL_" + std::to_string(i);
  if (own) keys.texts(kLabels, s.head.labels);
}

void write_side(const ModelSpec& s, const SideKeyNames& names, KeyWriter& keys) {
  keys.count({names.ctx, nullptr}, s.ctx);
  keys.count({names.dim, nullptr}, s.dim);
  keys.count({names.layers, nullptr}, s.layers);
  keys.count({names.ffn_dim, nullptr}, s.block.ffn.dim);
  keys.count({names.heads, nullptr}, s.block.attn.heads);
}

}  // namespace

void write_keys(const ModelSpec& s, const GgufForm& form, KeyWriter& keys, std::vector<ConvertedTensor>& tensors) {
  const AttentionSpec& a = s.block.attn;
  const FfnSpec& f = s.block.ffn;
  const ModelSpec& first = s.encoder ? *s.encoder : s;  // the side that the shared names are of
  keys.count(kVocab, s.vocab);
  if (form.sides) {
    write_side(*s.encoder, kEncoderKeys, keys);
    write_side(s, kDecoderKeys, keys);
    keys.number(kLayerNormEps, s.eps);
    return form.keys(s, keys);
  }
  keys.count(kCtx, first.ctx);
  keys.count(kDim, first.dim);
  keys.count(kLayers, first.layers);
  keys.count(kFfnDim, f.dim);
  keys.count(kHeads, a.heads);
  if (s.shape == ModelSpec::Shape::decoder) keys.count(kKvHeads, a.kv_heads);
  if (a.heads * a.head_dim != s.dim || s.shape != ModelSpec::Shape::encoder) {
    keys.count(kHeadDim, a.head_dim);
    keys.count(kValueDim, a.head_dim);
  }
  keys.number(s.layer_norm ? kLayerNormEps : kRmsNormEps, s.eps);
  if (f.experts > 0) {
    keys.count(kExperts, f.experts);
    keys.count(kExpertsUsed, f.experts_used);
  }
  if (a.softcap != 0) keys.number(kScoreCap, a.softcap);
  if (s.final_softcap != 0) keys.number(kLogitCap, s.final_softcap);
  if (form.window && s.window > 0) keys.count(kWindow, s.window);
  if (a.rotary_dim > 0) write_rope(s, keys, tensors);
  if (s.shape == ModelSpec::Shape::encoder) write_encoder(s, keys);
  if (form.keys) form.keys(s, keys);
}

}  // namespace miao::models
