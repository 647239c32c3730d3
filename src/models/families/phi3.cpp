// Phi-3: Llama with q, k and v in one matrix, gate and up in another, LongRoPE and a sliding window on every layer.
#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.heads = 32, .vocab = 32064, .ctx = 4096, .eps = 1e-5}));
  s.block.attn.fused = AttentionSpec::Fused::stacked;
  s.block.ffn.fused = true;
  MIAO_TRY(s.window, source.integer(kWindow, 0, int64_t{1} << 30, 0));
  s.local_rope = s.rope;
  s.sliding.assign(static_cast<size_t>(s.layers), s.window > 0);
  return s;
}

extern const Family phi3_family = {.name = "phi3",
                                   .answers_to = {"Phi3ForCausalLM", "gguf:phi3"},
                                   .spec = spec,
                                   .hf = {.tensors = kNames},
                                   .gguf = {.architecture = "phi3", .window = true}};

}  // namespace miao::models
