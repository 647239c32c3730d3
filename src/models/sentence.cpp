// See sentence.h.
#include "models/sentence.h"

#include <algorithm>
#include <cctype>

#include "base/json.h"

namespace miao::models {

namespace {

using Pool = SentenceSpec::Pool;

class Reader {
 public:
  explicit Reader(const io::Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  Result<std::optional<SentenceSpec>> read() {
    std::optional<SentenceSpec> none;
    MIAO_TRY(std::optional<Json> modules, json("modules.json"));
    if (!modules) return none;
    if (!modules->is_array()) return wrong("modules.json", "expected a list of modules");
    SentenceSpec out;
    for (const Json& module : *modules) {
      if (!module.is_object() || !module.contains("type") || !module["type"].is_string()) {
        return wrong("modules.json", "a module has no \"type\"");
      }
      const auto type = module["type"].get<std::string>();
      const std::string kind = type.substr(type.rfind('.') + 1);
      if (kind == "Transformer") continue;
      if (kind == "Normalize") {
        out.normalise = true;
      } else if (kind == "Pooling") {
        MIAO_TRY(out.pool, pooling(module.value("path", Json("")).dump()));
      } else {
        return Error{Code::unsupported,
                     "the module '" + kind.substr(0, 60) + "' is not supported; Transformer, Pooling and Normalize are",
                     place("modules.json")};
      }
    }
    MIAO_TRY(std::optional<Json> limits, json("sentence_bert_config.json"));
    if (limits && limits->is_object() && limits->contains("max_seq_length")) {
      const Json& value = (*limits)["max_seq_length"];
      if (value.is_number_integer() && value.get<int64_t>() > 0) out.max_tokens = value.get<int64_t>();
    }
    MIAO_CHECK_OK(read_prompts(out));
    return std::optional<SentenceSpec>(std::move(out));
  }

 private:
  std::string place(const std::string& name) const { return (checkpoint_.path() / name).string(); }
  Error wrong(const std::string& name, std::string what) const { return {Code::invalid, std::move(what), place(name)}; }

  Result<std::optional<Json>> json(const std::string& name) const {
    MIAO_TRY(std::optional<std::string> text, checkpoint_.text_file(name));
    if (!text) return std::optional<Json>();
    MIAO_TRY(Json value, parse_json(*text, place(name)));
    return std::optional<Json>(std::move(value));
  }

  // `quoted`: the module's folder as JSON, so that a path that is no string is refused as well.
  Result<Pool> pooling(const std::string& quoted) const {
    std::string folder = quoted.size() > 2 && quoted.front() == '"' ? quoted.substr(1, quoted.size() - 2) : "";
    while (folder.ends_with('/')) folder.pop_back();
    const bool plain = !folder.empty() && folder.front() != '.' &&
                       std::all_of(folder.begin(), folder.end(),
                                   [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; });
    if (!plain) return wrong("modules.json", "the folder of the Pooling module is not a plain name");
    const std::string name = folder + "/config.json";
    MIAO_TRY(std::optional<Json> config, json(name));
    if (!config) return Error{Code::not_found, "is missing, and modules.json names it", place(name)};
    if (!config->is_object()) return wrong(name, "expected an object");
    std::string modes;  // those that are on
    for (const auto& [key, value] : config->items()) {
      constexpr std::string_view kMode = "pooling_mode_";
      if (key.starts_with(kMode) && value.is_boolean() && value.get<bool>()) modes += key.substr(kMode.size()) + " ";
      if (key == "pooling_mode" && value.is_string()) modes += value.get<std::string>() + " ";
      if (key == "include_prompt" && value.is_boolean() && !value.get<bool>()) {
        return Error{Code::unsupported, "'include_prompt' is off: prompts outside the mean", place(name)};
      }
    }
    if (modes == "cls_token " || modes == "cls ") return Pool::first;
    if (modes == "mean_tokens " || modes == "mean ") return Pool::mean;
    return Error{Code::unsupported, "pools by '" + modes.substr(0, 100) + "', expected mean_tokens or cls_token alone",
                 place(name)};
  }

  Result<void> read_prompts(SentenceSpec& out) const {
    const std::string name = "config_sentence_transformers.json";
    MIAO_TRY(std::optional<Json> config, json(name));
    if (!config || !config->is_object()) return {};
    if (config->contains("prompts") && (*config)["prompts"].is_object()) {
      for (const auto& [key, value] : (*config)["prompts"].items()) {
        if (!value.is_string()) return wrong(name, "the prompt '" + key.substr(0, 60) + "' is not a text");
        out.prompts.emplace_back(key, value.get<std::string>());
      }
    }
    if (config->contains("default_prompt_name") && (*config)["default_prompt_name"].is_string()) {
      out.default_prompt = (*config)["default_prompt_name"].get<std::string>();
      const bool known = std::any_of(out.prompts.begin(), out.prompts.end(),
                                     [&](const auto& prompt) { return prompt.first == out.default_prompt; });
      if (!known) return wrong(name, "'default_prompt_name' is not among the prompts");
    }
    return {};
  }

  const io::Checkpoint& checkpoint_;
};

// LLAMA_POOLING_TYPE: 0 none, 1 mean, 2 the first token, 4 the model's own classes. llama.cpp gives vectors of
// length 1.
Result<std::optional<SentenceSpec>> read_gguf(const io::Checkpoint& checkpoint) {
  std::optional<SentenceSpec> out;
  MIAO_TRY(std::string_view architecture, checkpoint.meta().string("general.architecture"));
  const std::string key = std::string(architecture) + ".pooling_type";
  if (!checkpoint.meta().has(key)) return out;
  MIAO_TRY(const int64_t type, checkpoint.meta().integer(key));
  if (type == 1) out = SentenceSpec{.pool = Pool::mean, .normalise = true};
  if (type == 2) out = SentenceSpec{.pool = Pool::first, .normalise = true};
  if (type == 3 || type > 4) {
    return Error{Code::unsupported, "'" + key + "' is " + std::to_string(type) + ", expected 1 (mean) or 2 (first)",
                 checkpoint.meta().source()};
  }
  return out;
}

}  // namespace

Result<std::optional<SentenceSpec>> read_sentence_spec(const io::Checkpoint& checkpoint) {
  return checkpoint.kind() == io::Checkpoint::Kind::gguf ? read_gguf(checkpoint) : Reader(checkpoint).read();
}

}  // namespace miao::models
