// Mixtral: Mistral with a mixture of experts as FFN, whose weights sum to one. Its GGUF files call themselves "llama".
#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"ffn_gate_inp", "block_sparse_moe.gate"},
                                        {"ffn_gate.*", "block_sparse_moe.experts.*.w1"},
                                        {"ffn_up.*", "block_sparse_moe.experts.*.w3"},
                                        {"ffn_down.*", "block_sparse_moe.experts.*.w2"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(
      ModelSpec s,
      decoder_spec(
          source,
          {.theta = 1e6, .heads = 32, .kv_heads = 8, .vocab = 32000, .ctx = 131072, .eps = 1e-5, .experts = true}));
  MIAO_CHECK_OK(read_experts(source, s, {kExperts, kExpertsUsed, {}}));
  s.block.ffn.normalised = true;
  MIAO_TRY(s.window, source.integer({nullptr, "sliding_window"}, 1, int64_t{1} << 30, 0));
  s.local_rope = s.rope;
  s.sliding.assign(static_cast<size_t>(s.layers), s.window > 0);
  return s;
}

extern const Family mixtral_family = {.name = "mixtral",
                                      .answers_to = {"MixtralForCausalLM"},
                                      .spec = spec,
                                      .hf = {.tensors = kNames},
                                      .gguf = {.architecture = "llama", .pairs = true}};

}  // namespace miao::models
