// GPT-NeoX and Pythia: LayerNorm, a rotation of a quarter of each head, plain FFN, attention and FFN side by side.
// Hugging Face files hold q, k and v head by head in one matrix; GGUF files have them stacked.
#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static constexpr TensorName kNames[] = {
    {"token_embd", "embed_in"},
    {"output_norm", "final_layer_norm"},
    {"output", "/embed_out"},
    {"attn_qkv", "attention.query_key_value"},
    {"attn_output", "attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
    {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
};
static constexpr KeyName kKeys[] = {{"partial_rotary_factor", "rotary_pct"}, {"rope_theta", "rotary_emb_base"}};

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.heads = 64,
                                              .vocab = 50432,
                                              .ctx = 2048,
                                              .eps = 1e-5,
                                              .act = "gelu",
                                              .layer_norm = true,
                                              .rotary_share = 0.25}));
  if (source.gguf()) s.block.ffn.act = kernels::Act::gelu;
  AttentionSpec& attn = s.block.attn;
  attn.fused = source.gguf() ? AttentionSpec::Fused::stacked : AttentionSpec::Fused::by_head;
  if (attn.kv_heads != attn.heads)
    return source.invalid(kKvHeads, "differs from the heads: each has its own k and v here");
  MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, true));
  attn.o_bias = attn.qkv_bias;
  s.block.ffn.bias = true;
  s.block.ffn.gated = false;
  MIAO_TRY(bool parallel, source.boolean(kParallel, true));
  if (parallel) s.block.parallel = BlockSpec::Parallel::own_norm;
  return s;
}

static void write_keys(const ModelSpec& s, KeyWriter& keys) {
  keys.flag(kParallel, s.block.parallel != BlockSpec::Parallel::no);
}

extern const Family gpt_neox_family = {.name = "gpt_neox",
                                       .answers_to = {"GPTNeoXForCausalLM", "gguf:gptneox"},
                                       .spec = spec,
                                       .hf = {.root = "gpt_neox.", .tensors = kNames, .keys = kKeys},
                                       .gguf = {.architecture = "gptneox", .keys = write_keys}};

}  // namespace miao::models
