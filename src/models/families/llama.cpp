// Llama and what copies it: RMS norms before attention and FFN, gated SiLU, grouped KV heads, optional biases.
// GGUF files of this architecture hold q and k permuted so that rotation pairs are neighbours.
#include "models/family.h"
#include "models/keys.h"

namespace miao::models {

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source, {.experts = source.gguf()}));
  if (source.gguf() && source.has(kExperts)) {  // of Mixtral
    MIAO_TRY(int64_t experts, source.integer(kExperts, 0, 1024));
    if (experts > 0) MIAO_CHECK_OK(read_experts(source, s, {kExperts, kExpertsUsed, {}}));
    s.block.ffn.normalised = true;
  }
  AttentionSpec& attn = s.block.attn;
  attn.interleaved = source.gguf();
  if (source.gguf()) {  // GGUF says it by the tensors it has
    attn.qkv_bias = source.find("blk.0.attn_q.bias") != nullptr;
    attn.o_bias = source.find("blk.0.attn_output.bias") != nullptr;
    s.block.ffn.bias = source.find("blk.0.ffn_gate.bias") != nullptr;
  } else {
    MIAO_TRY(attn.qkv_bias, source.boolean({nullptr, "attention_bias"}, false));
    attn.o_bias = attn.qkv_bias;
    MIAO_TRY(s.block.ffn.bias, source.boolean({nullptr, "mlp_bias"}, false));
  }
  return s;
}

extern const Family llama_family = {.name = "llama",
                                    .answers_to = {"LlamaForCausalLM", "gguf:llama"},
                                    .spec = spec,
                                    .gguf = {.architecture = "llama", .pairs = true}};

}  // namespace miao::models
