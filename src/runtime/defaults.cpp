// JSON null (transformers writes "top_k": null) is dropped by KeyValues::from_json, so it counts as left out.
#include "runtime/defaults.h"

#include <optional>
#include <string>

namespace miao::runtime {

namespace {

Result<std::optional<float>> number(const KeyValues& values, const char* key) {
  if (!values.has(key)) return std::optional<float>();
  MIAO_TRY(const double value, values.number(key));
  return std::optional<float>(static_cast<float>(value));
}

SamplerOptions usual_sampling() {
  SamplerOptions out;
  out.temperature = 0.8f;
  out.top_k = 40;
  out.top_p = 0.95f;
  out.min_p = 0.05f;
  return out;
}

Result<GenerationDefaults> from_gguf(const KeyValues& meta) {
  GenerationDefaults out{.sampling = usual_sampling()};
  MIAO_TRY(const auto temperature, number(meta, "general.sampling.temp"));
  MIAO_TRY(out.sampling.top_k, meta.integer("general.sampling.top_k", out.sampling.top_k));
  MIAO_TRY(const auto top_p, number(meta, "general.sampling.top_p"));
  MIAO_TRY(const auto min_p, number(meta, "general.sampling.min_p"));
  MIAO_TRY(const auto penalty, number(meta, "general.sampling.penalty_repeat"));
  MIAO_TRY(out.sampling.penalty_last_n, meta.integer("general.sampling.penalty_last_n", out.sampling.penalty_last_n));
  out.from_file = temperature || meta.has("general.sampling.top_k") || top_p || min_p || penalty;
  out.sampling.temperature = temperature.value_or(out.sampling.temperature);
  out.sampling.top_p = top_p.value_or(out.sampling.top_p);
  out.sampling.min_p = min_p.value_or(out.sampling.min_p);
  out.sampling.repeat_penalty = penalty.value_or(out.sampling.repeat_penalty);
  return out;
}

Result<GenerationDefaults> from_config(const KeyValues& config) {
  GenerationDefaults out{.sampling = usual_sampling()};
  const auto add = [&](int64_t id) {
    if (id >= 0 && id <= INT32_MAX) out.stop_tokens.push_back(static_cast<int32_t>(id));
  };
  const KeyValues::Value* eos = config.find("eos_token_id");
  if (eos && std::holds_alternative<int64_t>(*eos)) {
    add(std::get<int64_t>(*eos));
  } else if (eos) {
    MIAO_TRY(const KeyValues::Ints* ids, config.integers("eos_token_id"));
    for (int64_t id : *ids) add(id);
  }
  MIAO_TRY(const auto temperature, number(config, "temperature"));
  MIAO_TRY(const int64_t top_k, config.integer("top_k", 50));
  MIAO_TRY(const auto top_p, number(config, "top_p"));
  MIAO_TRY(const auto min_p, number(config, "min_p"));
  MIAO_TRY(const auto penalty, number(config, "repetition_penalty"));
  const bool settings = temperature || config.has("top_k") || top_p || min_p;
  MIAO_TRY(const bool sample, config.boolean("do_sample", settings));
  if (penalty) {
    out.sampling.repeat_penalty = *penalty;
    out.sampling.penalty_last_n = -1;  // transformers looks at the whole text
  }
  if (!settings && !config.has("do_sample")) return out;
  out.from_file = true;
  out.sampling.temperature = sample ? temperature.value_or(1) : 0;
  out.sampling.top_k = top_k;
  out.sampling.top_p = top_p.value_or(1);
  out.sampling.min_p = min_p.value_or(0);
  return out;
}

}  // namespace

Result<GenerationDefaults> generation_defaults(const io::Checkpoint& checkpoint) {
  if (checkpoint.kind() == io::Checkpoint::Kind::gguf) return from_gguf(checkpoint.meta());
  MIAO_TRY(const std::optional<std::string> text, checkpoint.text_file("generation_config.json"));
  if (!text) return GenerationDefaults{.sampling = usual_sampling()};
  MIAO_TRY(const KeyValues config,
           KeyValues::from_json(*text, (checkpoint.path() / "generation_config.json").string()));
  return from_config(config);
}

}  // namespace miao::runtime
