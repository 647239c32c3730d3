// StableLM: LayerNorm, gated SiLU, a rotation of a quarter of each head; optionally LayerNorms of every head of q and
// k, and attention and FFN side by side behind one norm.
#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static constexpr TensorName kNames[] = {{"attn_q_norm.*", "self_attn.q_layernorm.norms.*"},
                                        {"attn_k_norm.*", "self_attn.k_layernorm.norms.*"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.heads = 32,
                                              .kv_heads = 32,
                                              .vocab = 50304,
                                              .ctx = 4096,
                                              .eps = 1e-5,
                                              .layer_norm = true,
                                              .rotary_share = 0.25}));
  AttentionSpec& attn = s.block.attn;
  bool qk_norm = source.find("blk.0.attn_q_norm.weight") != nullptr, parallel = false;
  if (source.gguf()) {
    attn.qkv_bias = source.find("blk.0.attn_q.bias") != nullptr;
    // llama.cpp goes by the tensors too: a model with a parallel residual has no second norm.
    parallel = source.find("blk.0.ffn_norm.weight") == nullptr;
  } else {
    MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "use_qkv_bias"}, false));
    MIAO_TRY(qk_norm, source.boolean({nullptr, "qk_layernorm"}, false));
    MIAO_TRY(parallel, source.boolean({nullptr, "use_parallel_residual"}, false));
  }
  if (qk_norm) attn.qk_norm = AttentionSpec::QkNorm::each_head;
  if (parallel) s.block.parallel = BlockSpec::Parallel::shared_norm;
  return s;
}

static void write_keys(const ModelSpec& s, KeyWriter& keys) {
  keys.flag(kParallel, s.block.parallel != BlockSpec::Parallel::no);
}

extern const Family stablelm_family = {.name = "stablelm",
                                       .answers_to = {"StableLmForCausalLM", "gguf:stablelm"},
                                       .spec = spec,
                                       .hf = {.tensors = kNames},
                                       .gguf = {.architecture = "stablelm", .keys = write_keys}};

}  // namespace miao::models
