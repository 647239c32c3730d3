// Shared by the tokenizer tests: the golden files, and GGUF metadata made from a tokenizer.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/key_values.h"
#include "prep/tokenizer.h"

namespace miao::prep::test {

inline std::filesystem::path golden_directory() {
  return std::filesystem::path(MIAO_SOURCE_DIR) / "tests" / "golden" / "tokenizers";
}

inline std::filesystem::path sentencepiece_directory() {
  return std::filesystem::path(MIAO_SOURCE_DIR) / "tests" / "golden" / "sentencepiece";
}

// The files of a directory; `replaced` stand in for those of the same name, no value for a missing one.
inline ReadFile reader_of(const std::filesystem::path& directory,
                          std::map<std::string, std::optional<std::string>> replaced = {}) {
  return [=](const char* name) -> Result<std::optional<std::string>> {
    if (const auto found = replaced.find(name); found != replaced.end()) return found->second;
    if (!std::filesystem::exists(directory / name)) return std::optional<std::string>();
    MIAO_TRY(std::string text, read_file(directory / name));
    return std::optional<std::string>(std::move(text));
  };
}

inline Json golden_json(const std::string& name) {
  auto text = read_file(golden_directory() / name);
  return text.ok() ? Json::parse(*text) : Json();
}

// The base tokenizer.json of a golden file with the file's fields put in.
inline Json patched_base(const Json& golden) {
  Json base = golden_json(golden["base"].get<std::string>());
  for (const auto& [key, value] : golden["patch"].items()) {
    if (value.is_array() && key == "normalizer") {  // a sequence in which "<base>" is the base's own normalizer
      Json members = Json::array();
      for (const Json& member : value) members.push_back(member.is_string() ? base["normalizer"] : member);
      base[key] = Json{{"type", "Sequence"}, {"normalizers", members}};
    } else {
      base[key] = value;
    }
  }
  return base;
}

inline bool is_valid_utf8(const std::string& text) {
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>() == text;
}

// GGUF metadata of a small vocabulary. Pieces must outlive it unless interned.
struct GgufVocab {
  std::vector<std::string> tokens;
  std::vector<int64_t> types;
  std::vector<double> scores;
  std::vector<std::string> merges;
  std::string model = "gpt2", pre = "gpt-2";

  KeyValues meta() const {
    KeyValues kv("test.gguf");
    const auto views = [&](const std::vector<std::string>& texts) {
      KeyValues::Strings out;
      for (const std::string& text : texts) out.push_back(kv.intern(text));
      return out;
    };
    kv.set("tokenizer.ggml.model", kv.intern(model));
    if (!pre.empty()) kv.set("tokenizer.ggml.pre", kv.intern(pre));
    kv.set("tokenizer.ggml.tokens", views(tokens));
    if (!types.empty()) kv.set("tokenizer.ggml.token_type", KeyValues::Ints(types));
    if (!scores.empty()) kv.set("tokenizer.ggml.scores", KeyValues::Floats(scores));
    if (!merges.empty()) kv.set("tokenizer.ggml.merges", views(merges));
    return kv;
  }
};

// The vocabulary of a BPE tokenizer.json in GGUF's form.
inline GgufVocab gguf_of(const Json& document) {
  GgufVocab out;
  const Json& model = document["model"];
  out.tokens.resize(model["vocab"].size());
  for (const auto& [piece, id] : model["vocab"].items()) out.tokens[id.get<size_t>()] = piece;
  out.types.assign(out.tokens.size(), 1);
  for (const Json& token : document["added_tokens"])
    out.types[token["id"].get<size_t>()] = token["special"].get<bool>() ? 3 : 4;
  for (const Json& merge : model["merges"]) {
    out.merges.push_back(merge.is_string() ? merge.get<std::string>()
                                           : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  return out;
}

}  // namespace miao::prep::test
