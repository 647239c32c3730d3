#include "models/family.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "models/keys.h"
#include "models/rope.h"

namespace miao::models {

#define X(name) extern const Family name##_family;
#include "models/families.inc"
#undef X

namespace {

constexpr int64_t kMaxLayers = 1000;
constexpr int64_t kMaxDim = 1 << 20;
constexpr int64_t kMaxCtx = int64_t{1} << 30;
constexpr int64_t kMaxHeadDim = 1024;

constexpr Key kRotaryShare{nullptr, "partial_rotary_factor"};
constexpr Key kRotaryShareOfRope{nullptr, "rope_parameters.partial_rotary_factor"};
constexpr Key kTied{nullptr, "tie_word_embeddings"};
constexpr Key kLayerTypes{nullptr, "layer_types"};

}  // namespace

std::optional<kernels::Act> act_of(std::string_view name) {
  if (name == "silu" || name == "swish") return kernels::Act::silu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") return kernels::Act::gelu_tanh;
  if (name == "gelu") return kernels::Act::gelu;
  if (name == "relu") return kernels::Act::relu;
  if (name == "tanh") return kernels::Act::tanh;
  return std::nullopt;
}

const char* act_name(kernels::Act act) {
  switch (act) {
    case kernels::Act::silu:
      return "silu";
    case kernels::Act::gelu_tanh:
      return "gelu_pytorch_tanh";
    case kernels::Act::gelu:
      return "gelu";
    case kernels::Act::relu:
      return "relu";
    case kernels::Act::tanh:
      return "tanh";
  }
  return "";
}

namespace {

// 1 to `high`; `fallback` counts only for Hugging Face files, whose classes know it.
Result<int64_t> required(const Source& source, Key key, int64_t high, int64_t fallback) {
  return fallback && !source.gguf() ? source.integer(key, 1, high, fallback) : source.integer(key, 1, high);
}

Result<void> read_heads(const Source& source, const DecoderDefaults& defaults, ModelSpec& s) {
  AttentionSpec& a = s.block.attn;
  MIAO_TRY(a.heads, required(source, kHeads, kMaxDim, defaults.heads));
  MIAO_TRY(a.kv_heads,
           source.integer(kKvHeads, 1, kMaxDim, defaults.kv_heads && !source.gguf() ? defaults.kv_heads : a.heads));
  if (a.heads % a.kv_heads != 0) {
    return source.invalid(
        kKvHeads, "is " + std::to_string(a.kv_heads) + ", which does not divide " + std::to_string(a.heads) + " heads");
  }
  int64_t head_dim = source.gguf() ? 0 : defaults.head_dim;
  if (head_dim == 0 && !source.has(kHeadDim)) {
    if (s.dim % a.heads != 0) return source.invalid(kHeads, "does not divide " + source.name(kDim));
    head_dim = s.dim / a.heads;
  }
  MIAO_TRY(a.head_dim, source.integer(kHeadDim, 2, kMaxHeadDim, head_dim));
  if (a.head_dim < 2 || a.head_dim > kMaxHeadDim || a.head_dim % 2 != 0) {
    return source.invalid(kHeadDim, "gives heads of " + std::to_string(a.head_dim) +
                                        " values, expected an even number up to " + std::to_string(kMaxHeadDim));
  }
  if (a.heads * a.head_dim > kMaxDim) return source.invalid(kHeads, "and the head size are too large together");
  if (kValueDim.gguf && source.gguf()) {
    MIAO_TRY(int64_t value_dim, source.integer(kValueDim, 1, kMaxHeadDim, a.head_dim));
    if (value_dim != a.head_dim) return source.unsupported(kValueDim, "differs from the key length");
  }
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  if (!defaults.rotary) return {};
  a.rotary_dim = a.head_dim;
  if (source.gguf()) {
    MIAO_TRY(a.rotary_dim, source.integer(kRotaryDim, 2, a.head_dim, a.head_dim));
  } else {
    MIAO_TRY(double share, source.number(kRotaryShare, 0, 1, defaults.rotary_share));
    MIAO_TRY(share, source.number(kRotaryShareOfRope, 0, 1, share));
    a.rotary_dim = static_cast<int64_t>(static_cast<double>(a.head_dim) * share);
  }
  if (a.rotary_dim < 2 || a.rotary_dim % 2 != 0) {
    return source.invalid(source.gguf() ? kRotaryDim : kRotaryShare, "gives an odd or empty rotation");
  }
  return {};
}

}  // namespace

std::vector<const Family*> all_families() {
  return {
#define X(name) &name##_family,
#include "models/families.inc"
#undef X
  };
}

Result<const Family*> find_family(const Source& source) {
  std::string known;
  for (const Family* family : all_families()) {
    for (std::string_view name : family->answers_to) {
      if (name.empty()) continue;
      if (name == source.architecture()) return family;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
  }
  return Error{Code::unsupported,
               "the architecture '" + source.architecture() + "' is not supported; supported are " + known,
               source.checkpoint().meta().source()};
}

Result<ModelSpec> decoder_spec(const Source& source, const DecoderDefaults& defaults) {
  ModelSpec s;
  s.name = source.model_name();
  for (const Key key : {kExperts, Key{nullptr, "num_experts"}}) {
    if (!source.has(key) || defaults.experts) continue;
    MIAO_TRY(int64_t experts, source.integer(key, 0, kMaxDim));
    if (experts > 0) return source.unsupported(key, "asks for a mixture of experts");
  }
  MIAO_TRY(s.layers, source.integer(kLayers, 1, kMaxLayers));
  MIAO_TRY(s.dim, source.integer(kDim, 1, kMaxDim));
  if (defaults.ffn_times_dim > 0) {
    MIAO_TRY(s.block.ffn.dim, source.integer(kFfnDim, 1, kMaxDim, defaults.ffn_times_dim * s.dim));
  } else {
    MIAO_TRY(s.block.ffn.dim, source.integer(kFfnDim, 1, kMaxDim));
  }
  MIAO_TRY(s.ctx, required(source, kCtx, kMaxCtx, defaults.ctx));
  const Key eps = defaults.layer_norm ? kLayerNormEps : kRmsNormEps;
  MIAO_TRY(s.eps, defaults.eps != 0 && !source.gguf() ? source.number(eps, 1e-12, 0.1, defaults.eps)
                                                      : source.number(eps, 1e-12, 0.1));
  s.layer_norm = s.norm_bias = defaults.layer_norm;
  MIAO_CHECK_OK(read_heads(source, defaults, s));
  if (defaults.rotary) {
    MIAO_TRY(s.rope, read_rope(source, s.block.attn.rotary_dim, s.ctx, defaults.theta));
  }

  const TensorView* embedding = source.find("token_embd.weight");
  const int64_t rows = embedding ? embedding->rows() : 0;  // an absent one is reported with the other tensors
  if (source.gguf()) {
    MIAO_TRY(s.vocab, source.integer(kVocab, 1, kMaxDim * 16, rows));
    s.tied = source.find("output.weight") == nullptr;
  } else {
    MIAO_TRY(s.vocab, required(source, kVocab, kMaxDim * 16, defaults.vocab));
    MIAO_TRY(s.tied, source.boolean(kTied, defaults.tied));
  }
  const Key act_key{nullptr, defaults.act_key};
  std::string act_name(defaults.act);
  if (!source.gguf()) {
    MIAO_TRY(act_name, source.string(act_key, defaults.act));
  }
  const std::optional<kernels::Act> act = act_of(act_name);
  if (!act) return source.unsupported(act_key, "is '" + act_name + "', expected silu, gelu_pytorch_tanh, gelu or relu");
  s.block.ffn.act = *act;
  s.sliding.assign(static_cast<size_t>(s.layers), false);
  return s;
}

Result<void> read_experts(const Source& source, ModelSpec& spec, const ExpertKeys& keys) {
  constexpr int64_t kMaxExperts = 1024;
  FfnSpec& ffn = spec.block.ffn;
  MIAO_TRY(ffn.experts, source.integer(keys.experts, 1, kMaxExperts));
  MIAO_TRY(ffn.experts_used, source.integer(keys.used, 1, ffn.experts));
  MIAO_TRY(ffn.dim, source.integer(keys.ffn_dim, 1, kMaxDim, ffn.dim));
  return {};
}

Result<void> set_sliding_layers(const Source& source, ModelSpec& spec, const std::vector<bool>& rule) {
  spec.sliding = rule;
  if (!source.gguf() && source.has(kLayerTypes)) {
    MIAO_TRY(std::vector<std::string> types, source.strings(kLayerTypes));
    if (types.size() != rule.size()) return source.invalid(kLayerTypes, "does not name every layer once");
    for (size_t i = 0; i < types.size(); ++i) {
      if (types[i] != "full_attention" && types[i] != "sliding_attention") {
        return source.unsupported(kLayerTypes, "holds '" + types[i] + "'");
      }
      spec.sliding[i] = types[i] == "sliding_attention";
    }
  }
  if (spec.window > 0) return {};
  if (std::find(spec.sliding.begin(), spec.sliding.end(), true) != spec.sliding.end() && source.has(kLayerTypes)) {
    return source.invalid(kLayerTypes, "names sliding layers, but there is no sliding_window");
  }
  spec.sliding.assign(rule.size(), false);
  return {};
}

Result<void> set_upper_sliding_layers(const Source& source, ModelSpec& spec) {
  constexpr int64_t kDefaultWindow = 4096;
  constexpr int64_t kDefaultFirst = 28;
  int64_t first = spec.layers;
  if (!source.gguf()) {
    MIAO_TRY(bool slides, source.boolean({nullptr, "use_sliding_window"}, false));
    if (!slides) return {};
    MIAO_TRY(spec.window, source.integer({nullptr, "sliding_window"}, 1, kMaxCtx, kDefaultWindow));
    MIAO_TRY(first, source.integer({nullptr, "max_window_layers"}, 0, kMaxLayers, kDefaultFirst));
  }
  spec.local_rope = spec.rope;
  std::vector<bool> rule(static_cast<size_t>(spec.layers));
  for (size_t i = 0; i < rule.size(); ++i) rule[i] = static_cast<int64_t>(i) >= first;
  return set_sliding_layers(source, spec, rule);
}

}  // namespace miao::models
