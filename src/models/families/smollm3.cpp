// SmolLM3: Llama without a rotation on every fourth layer.
#include "models/family.h"

namespace miao::models {

static Result<ModelSpec> spec(const Source& source) {
  constexpr int64_t kInterval = 4;
  MIAO_TRY(ModelSpec s,
           decoder_spec(
               source,
               {.theta = 2e6, .tied = true, .heads = 16, .kv_heads = 4, .vocab = 128256, .ctx = 32768, .eps = 1e-6}));
  AttentionSpec& attn = s.block.attn;
  attn.interleaved = source.gguf();  // permuted as Llama's are
  int64_t interval = kInterval;
  if (!source.gguf()) {
    MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
    attn.o_bias = attn.qkv_bias;
    MIAO_TRY(s.block.ffn.bias, source.boolean({nullptr, "mlp_bias"}, false));
    MIAO_TRY(interval, source.integer({nullptr, "no_rope_layer_interval"}, 1, 1000, kInterval));
  }
  for (int64_t i = 0; i < s.layers; ++i) s.rotated.push_back((i + 1) % interval != 0);
  constexpr Key kLayers{nullptr, "no_rope_layers"};  // one a layer that has a rotation
  if (!source.gguf() && source.has(kLayers)) {
    MIAO_TRY(std::vector<int64_t> layers, source.integers(kLayers));
    if (static_cast<int64_t>(layers.size()) != s.layers)
      return source.invalid(kLayers, "does not name every layer once");
    for (size_t i = 0; i < layers.size(); ++i) s.rotated[i] = layers[i] != 0;
  }
  MIAO_TRY(bool slides, source.boolean({nullptr, "use_sliding_window"}, false));
  if (!slides) return s;
  MIAO_TRY(s.window, source.integer({nullptr, "sliding_window"}, 0, int64_t{1} << 30, 0));
  s.local_rope = s.rope;
  std::vector<bool> rule = s.rotated;
  rule.flip();
  MIAO_CHECK_OK(set_sliding_layers(source, s, rule));
  return s;
}

extern const Family smollm3_family = {.name = "smollm3",
                                      .answers_to = {"SmolLM3ForCausalLM", "gguf:smollm3"},
                                      .spec = spec,
                                      .gguf = {.architecture = "smollm3", .pairs = true}};

}  // namespace miao::models
