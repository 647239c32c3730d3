// Mistral: Llama with a sliding window on every layer where the configuration has one. Its GGUF files call themselves
// "llama" and carry no window.
#include "models/family.h"

namespace miao::models {

static Result<ModelSpec> spec(const Source& source) {
  MIAO_TRY(ModelSpec s, decoder_spec(source));
  MIAO_TRY(s.window, source.integer({nullptr, "sliding_window"}, 1, int64_t{1} << 30, 0));
  s.local_rope = s.rope;
  s.sliding.assign(static_cast<size_t>(s.layers), s.window > 0);
  return s;
}

extern const Family mistral_family = {.name = "mistral",
                                      .answers_to = {"MistralForCausalLM"},
                                      .spec = spec,
                                      .gguf = {.architecture = "llama", .pairs = true}};

}  // namespace miao::models
