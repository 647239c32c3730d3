// Qwen3 with a mixture of experts as FFN.
#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"ffn_gate_inp", "mlp.gate"},
                                        {"ffn_gate.*", "mlp.experts.*.gate_proj"},
                                        {"ffn_up.*", "mlp.experts.*.up_proj"},
                                        {"ffn_down.*", "mlp.experts.*.down_proj"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(
      ModelSpec s,
      decoder_spec(source, {.heads = 32, .kv_heads = 4, .vocab = 151936, .ctx = 32768, .eps = 1e-6, .experts = true}));
  AttentionSpec& attn = s.block.attn;
  attn.qk_norm = AttentionSpec::QkNorm::head;
  MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
  attn.o_bias = attn.qkv_bias;
  ExpertKeys keys{kExperts, kExpertsUsed, kExpertDim};
  constexpr Key kOlder{kExperts.gguf, "num_experts"};  // as configurations before transformers 5 call it
  if (source.has(kOlder)) keys.experts = kOlder;
  MIAO_CHECK_OK(read_experts(source, s, keys));
  MIAO_TRY(s.block.ffn.normalised, source.boolean({nullptr, "norm_topk_prob"}, source.gguf()));
  constexpr Key kStep{nullptr, "decoder_sparse_step"}, kDense{nullptr, "mlp_only_layers"};
  MIAO_TRY(int64_t step, source.integer(kStep, 1, 1000, 1));
  if (step != 1) return source.unsupported(kStep, "leaves layers without experts");
  if (!source.gguf() && source.has(kDense)) {
    MIAO_TRY(std::vector<int64_t> dense, source.integers(kDense));
    if (!dense.empty()) return source.unsupported(kDense, "leaves layers without experts");
  }
  MIAO_CHECK_OK(set_upper_sliding_layers(source, s));
  return s;
}

static void write_keys(const ModelSpec& s, KeyWriter& keys) { keys.count(kExpertDim, s.block.ffn.dim); }

extern const Family qwen3_moe_family = {.name = "qwen3_moe",
                                        .answers_to = {"Qwen3MoeForCausalLM", "gguf:qwen3moe"},
                                        .spec = spec,
                                        .hf = {.tensors = kNames},
                                        .gguf = {.architecture = "qwen3moe", .keys = write_keys}};

}  // namespace miao::models
