// Rules for picking files. Weights: safetensors before GGUF before CTranslate2's model.bin, never pickles.
#include "io/hub/model_files.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

namespace miao::io {

namespace {

// Small files that describe a model, by name, at the root or in a module directory ("1_Pooling/config.json").
constexpr std::array kDescriptions = {
    "added_tokens.json",
    "chat_template.json",
    "config.json",
    "config_sentence_transformers.json",
    "generation_config.json",
    "merges.txt",
    "modules.json",
    "preprocessor_config.json",
    "processor_config.json",
    "sentence_bert_config.json",
    "sentencepiece.bpe.model",
    "source.spm",
    "special_tokens_map.json",
    "spiece.model",
    "target.spm",
    "target_vocab.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "x-00002-of-00003" -> {"x", 2}; a name without that ending is its own stem, part 0.
struct Parts {
  std::string_view stem;
  int part = 0;
};
Parts split_parts(std::string_view name) {
  if (name.size() < 16) return {name};
  const std::string_view tail = name.substr(name.size() - 15);  // "-00002-of-00003"
  if (tail[0] != '-' || !is_digits(tail.substr(1, 5)) || tail.substr(6, 4) != "-of-" || !is_digits(tail.substr(10))) {
    return {name};
  }
  int part = 0;
  for (const char c : tail.substr(1, 5)) part = part * 10 + (c - '0');
  return {name.substr(0, name.size() - 15), part};
}

std::string_view base_name(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

bool is_gguf(std::string_view path) {
  const std::string name = lower(base_name(path));
  return name.ends_with(".gguf") && name.find("mmproj") == std::string::npos &&
         name.find("imatrix") == std::string::npos;
}

bool is_description(std::string_view path) {
  const std::string_view name = base_name(path);
  const size_t slash = path.find('/');
  const bool root = slash == std::string_view::npos;
  if (path.ends_with(".jinja")) return root || path.starts_with("additional_chat_templates/");
  const bool known = std::find(kDescriptions.begin(), kDescriptions.end(), name) != kDescriptions.end();
  if (root) return known || (name.find("vocabulary") != std::string_view::npos && !name.ends_with(".py"));
  // "1_Pooling/...", "2_Dense/...": the modules of a sentence-transformers model, with their small weights.
  const size_t underscore = path.find('_');
  const bool module = underscore < slash && is_digits(path.substr(0, underscore)) &&
                      path.find('/', slash + 1) == std::string_view::npos;
  return module && (known || name == "model.safetensors");
}

// The tag stands in the name as a word of its own: Q4_0 is in "m-Q4_0.gguf" but not in "m-Q4_0_4_4.gguf".
bool has_tag(std::string_view path, std::string_view tag) {
  const std::string name = lower(path), word = lower(tag);
  for (size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1)) {
    const bool begins = at == 0 || std::string_view("-._/").find(name[at - 1]) != std::string_view::npos;
    const size_t end = at + word.size();
    const bool ends = end == name.size() || std::string_view("-./").find(name[end]) != std::string_view::npos;
    if (begins && ends) return true;
  }
  return false;
}

Result<Selection> select_gguf(const std::vector<std::string>& paths, std::string_view tag, const std::string& place) {
  std::map<std::string, std::vector<std::string>> groups;  // stem -> parts
  for (const std::string& path : paths) {
    if (!is_gguf(path)) continue;
    const std::string_view name = std::string_view(path).substr(0, path.size() - 5);
    const Parts parts = split_parts(name);
    if (tag.empty() || has_tag(parts.stem, tag)) groups[std::string(parts.stem)].push_back(path);
  }
  if (groups.size() == 1) {
    auto& files = groups.begin()->second;
    std::sort(files.begin(), files.end());
    return Selection{files, files.front()};
  }
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    if (is_main_gguf(path) && (groups.empty() || tag.empty() || has_tag(path, tag))) names.push_back(path);
  }
  if (groups.empty()) {
    return Error{Code::not_found,
                 "no file and no GGUF quantisation named '" + std::string(tag) + "' there" +
                     (names.empty() ? std::string() : "; it has: " + join_names(names)),
                 place};
  }
  return Error{Code::invalid,
               "holds " + std::to_string(groups.size()) +
                   " GGUF models, choose one with :FILE or :QUANT at the end: " + join_names(names),
               place};
}

Error no_weights(const std::vector<std::string>& paths, const std::string& place) {
  const bool pickles = std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
    return path.ends_with(".bin") || path.ends_with(".pt") || path.ends_with(".pth");
  });
  if (pickles) {
    return {Code::unsupported,
            "has only pickled weights, which can run code when loaded; use a revision or repository with safetensors",
            place};
  }
  return {Code::unsupported,
          "holds no model: no model.safetensors, no model.safetensors.index.json, no .gguf file and no model.bin" +
              (paths.empty() ? std::string() : "; it has: " + join_names(paths)),
          place};
}

}  // namespace

bool is_main_gguf(std::string_view path) {
  return is_gguf(path) && split_parts(path.substr(0, path.size() - 5)).part <= 1;
}

std::string join_names(const std::vector<std::string>& names) {
  constexpr size_t kMost = 24;
  std::string out;
  for (size_t i = 0; i < names.size() && i < kMost; ++i) out += (i ? ", " : "") + names[i];
  return names.size() > kMost ? out + ", and " + std::to_string(names.size() - kMost) + " more" : out;
}

Result<Selection> select_files(const std::vector<std::string>& paths, std::string_view wanted,
                               const std::string& place) {
  auto has = [&](std::string_view name) { return std::find(paths.begin(), paths.end(), name) != paths.end(); };
  if (!wanted.empty()) {
    if (!has(wanted)) return select_gguf(paths, wanted, place);
    if (is_gguf(wanted)) {
      const Parts one = split_parts(wanted.substr(0, wanted.size() - 5));
      if (one.part > 0) return select_gguf(paths, base_name(one.stem), place);
    }
    return Selection{{std::string(wanted)}, std::string(wanted)};
  }

  Selection out;
  const bool sharded = has("model.safetensors.index.json"), single = has("model.safetensors");
  bool any_gguf = false;
  for (const std::string& path : paths) {
    any_gguf = any_gguf || is_gguf(path);
    const bool root = path.find('/') == std::string::npos;
    if (!root || !path.ends_with(".safetensors")) continue;
    if (single ? path == "model.safetensors" : !sharded || path.starts_with("model-")) out.files.push_back(path);
  }
  if (out.files.empty() && any_gguf) return select_gguf(paths, "", place);
  if (out.files.empty() && has("model.bin")) out.files.push_back("model.bin");  // pickles have other names
  if (out.files.empty()) return no_weights(paths, place);
  if (!has("config.json")) {
    return Error{Code::unsupported,
                 "has no config.json to say what its weights are, so it is no model that can be run; it has: " +
                     join_names(paths),
                 place};
  }
  if (!single && !sharded &&
      out.files.front() != "model.bin") {  // weights under other names: a loader has to be told which
    if (out.files.size() > 1) {
      return Error{Code::invalid,
                   "has no model.safetensors and no model.safetensors.index.json; choose one with :FILE at the end: " +
                       join_names(out.files),
                   place};
    }
    out.entry = out.files.front();
  }
  if (sharded && !single) out.files.push_back("model.safetensors.index.json");
  for (const std::string& path : paths) {
    if (is_description(path)) out.files.push_back(path);
  }
  std::sort(out.files.begin(), out.files.end());
  out.files.erase(std::unique(out.files.begin(), out.files.end()), out.files.end());
  return out;
}

}  // namespace miao::io
