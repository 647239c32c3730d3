// Reads the small JSON files of a tokenizer; see hf_config.h.
#include "prep/tok/hf_config.h"

#include "prep/tok/data.h"
#include "prep/tok/json_parts.h"

namespace miao::prep {
namespace {

constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};
constexpr size_t kMaxAdded = 65536;

// A token as its text, or as an object with its content.
Result<std::string> token_text(JsonElement value, std::string_view name) {
  std::string_view text;
  if (value.is_object()) {
    MIAO_TRY(text, json_string(value.get_object().value_unsafe(), "content"));
  } else if (value.get_string().get(text)) {
    return wrong(name, "a token or its text");
  }
  if (text.size() > TokenizerData::kMaxTokenBytes) return Error{Code::invalid, std::string(name) + " is too long"};
  return std::string(text);
}

Result<void> read_roles(const JsonObject& object, HfConfig& out) {
  for (const char* name : kRoles) {
    const auto value = json_field(object, name);
    if (!value) continue;
    MIAO_TRY(std::string text, token_text(*value, name));
    if (!text.empty()) out.roles.emplace(name, std::move(text));  // the first file wins
  }
  for (const char* name : {"additional_special_tokens", "extra_special_tokens"}) {
    JsonArray list;
    const auto value = json_field(object, name);
    if (!value || value->get_array().get(list)) continue;  // newer files also have an object of names
    for (JsonElement element : list) {
      MIAO_TRY(std::string text, token_text(element, name));
      if (out.additional.size() >= kMaxAdded) return Error{Code::invalid, std::string(name) + " has too many tokens"};
      out.additional.push_back(std::move(text));
    }
  }
  return {};
}

Result<void> add(HfConfig& out, AddedToken token, int64_t id) {
  if (id < 0 || id >= TokenizerData::kMaxVocab || token.content.size() > TokenizerData::kMaxTokenBytes) {
    return Error{Code::corrupt, "the added token " + std::to_string(id) + " is out of range"};
  }
  if (out.added.size() >= kMaxAdded) return Error{Code::invalid, "there are too many added tokens"};
  token.id = static_cast<int32_t>(id);
  if (!token.content.empty()) out.added.push_back(std::move(token));
  return {};
}

// {"32000": {"content": "<x>", "special": true, ...}}
Result<void> read_decoder(const JsonObject& config, HfConfig& out) {
  const auto decoder = json_field(config, "added_tokens_decoder");
  if (!decoder) return {};
  MIAO_TRY(const JsonObject tokens, json_object(*decoder, "added_tokens_decoder"));
  for (const auto& field : tokens) {
    int64_t id = field.key.empty() ? -1 : 0;
    for (const char c : field.key) id = c >= '0' && c <= '9' && id >= 0 && id < 1 << 30 ? id * 10 + (c - '0') : -1;
    MIAO_TRY(const JsonObject object, json_object(field.value, "an added token"));
    AddedToken token;
    MIAO_TRY(token.content, json_string(object, "content"));
    MIAO_TRY(token.special, json_bool(object, "special", false));
    MIAO_TRY(token.single_word, json_bool(object, "single_word", false));
    MIAO_TRY(token.lstrip, json_bool(object, "lstrip", false));
    MIAO_TRY(token.rstrip, json_bool(object, "rstrip", false));
    MIAO_CHECK_OK(add(out, std::move(token), id));
  }
  return {};
}

Result<void> read_optional(const JsonObject& config, const char* name, std::optional<bool>& out) {
  if (!json_field(config, name)) return {};
  MIAO_TRY(const bool value, json_bool(config, name, false));
  out = value;
  return {};
}

Result<void> read_config(const JsonObject& config, HfConfig& out) {
  MIAO_TRY(out.tokenizer_class, json_string(config, "tokenizer_class", ""));
  MIAO_TRY(const std::string_view source, json_string(config, "source_lang", ""));
  MIAO_TRY(out.source_language, json_string(config, "src_lang", source));
  MIAO_TRY(const std::string_view target, json_string(config, "target_lang", ""));
  MIAO_TRY(out.target_language, json_string(config, "tgt_lang", target));
  MIAO_TRY(out.language_codes, json_string(config, "language_codes", ""));
  MIAO_CHECK_OK(read_optional(config, "add_bos_token", out.add_bos));
  MIAO_CHECK_OK(read_optional(config, "add_eos_token", out.add_eos));
  MIAO_CHECK_OK(read_optional(config, "add_prefix_space", out.add_prefix_space));
  MIAO_CHECK_OK(read_optional(config, "legacy", out.legacy));
  MIAO_CHECK_OK(read_optional(config, "separate_vocabs", out.separate_vocabs));
  MIAO_CHECK_OK(read_optional(config, "legacy_behaviour", out.legacy_behaviour));
  MIAO_TRY(out.extra_ids, json_integer(config, "extra_ids", 100));
  if (out.extra_ids < 0 || out.extra_ids > 65536) return Error{Code::invalid, "extra_ids is not within 0 to 65536"};
  MIAO_CHECK_OK(read_roles(config, out));
  return read_decoder(config, out);
}

// Calls use(object) with the object in a file, when there is such a file.
template <class Use>
Result<void> with_file(const ReadFile& read, const char* name, const Use& use) {
  MIAO_TRY(const std::optional<std::string> text, read(name));
  if (!text) return {};
  simdjson::dom::parser parser;
  JsonElement root;
  if (const auto error = parser.parse(*text).get(root)) {
    return Error{Code::corrupt, std::string("is not valid JSON: ") + simdjson::error_message(error), name};
  }
  auto object = json_object(root, "the file");
  const Result<void> used = object.ok() ? use(*object) : Result<void>(std::move(object.error()));
  if (!used.ok()) return Error(used.error()).at(name);
  return {};
}

}  // namespace

Result<HfConfig> read_hf_config(const ReadFile& read) {
  HfConfig out;
  MIAO_CHECK_OK(with_file(read, "added_tokens.json", [&](const JsonObject& tokens) -> Result<void> {
    for (const auto& field : tokens) {
      int64_t id;
      if (field.value.get_int64().get(id)) return wrong(field.key, "an id");
      MIAO_CHECK_OK(add(out, {.content = std::string(field.key)}, id));
    }
    return {};
  }));
  MIAO_CHECK_OK(with_file(read, "tokenizer_config.json", [&](const JsonObject& o) { return read_config(o, out); }));
  MIAO_CHECK_OK(with_file(read, "special_tokens_map.json", [&](const JsonObject& o) { return read_roles(o, out); }));
  if (out.tokenizer_class.empty()) {
    MIAO_CHECK_OK(with_file(read, "config.json", [&](const JsonObject& config) -> Result<void> {
      MIAO_TRY(out.tokenizer_class, json_string(config, "tokenizer_class", ""));
      if (!out.tokenizer_class.empty()) return {};
      MIAO_TRY(const std::string_view type, json_string(config, "model_type", ""));
      constexpr std::string_view kTypes[][2] = {{"t5", "T5Tokenizer"},
                                                {"mt5", "T5Tokenizer"},
                                                {"umt5", "T5Tokenizer"},
                                                {"marian", "MarianTokenizer"},
                                                {"m2m_100", "M2M100Tokenizer"},
                                                {"mbart", "MBartTokenizer"},
                                                {"xlm-roberta", "XLMRobertaTokenizer"},
                                                {"llama", "LlamaTokenizer"}};
      for (const auto& [name, tokenizer] : kTypes) {
        if (type == name) out.tokenizer_class = tokenizer;
      }
      return {};
    }));
  }
  if (out.tokenizer_class.ends_with("Fast")) out.tokenizer_class.resize(out.tokenizer_class.size() - 4);
  return out;
}

}  // namespace miao::prep
