// Which file of a model's directory holds its template; see chat_template.h.
#include <filesystem>

#include "base/json.h"
#include "prep/chat_template.h"

namespace miao::prep {

namespace {

using Found = std::optional<ChatTemplateText>;

// The template in a JSON file: text, or a list of named ones with a "default".
Result<Found> in_json(const ReadFile& read, const char* name, const std::string& where) {
  MIAO_TRY(const std::optional<std::string> text, read(name));
  if (!text) return Found();
  MIAO_TRY(const Json config, parse_json(*text, where));
  if (!config.is_object() || !config.contains("chat_template")) return Found();
  const Json& value = config["chat_template"];
  if (value.is_string()) return Found({value.get<std::string>(), where});
  if (value.is_null()) return Found();
  if (value.is_array()) {
    for (const Json& entry : value) {
      if (entry.is_object() && entry.value("name", Json()) == "default" && entry.contains("template") &&
          entry["template"].is_string()) {
        return Found({entry["template"].get<std::string>(), where});
      }
    }
  }
  return Error{Code::invalid, "chat_template is neither text nor a list with an entry named 'default'", where};
}

}  // namespace

Result<Found> find_chat_template(const ReadFile& read, const std::string& where) {
  const auto place = [&](const char* name) { return (std::filesystem::path(where) / name).string(); };
  constexpr const char* kOwn = "chat_template.jinja";
  MIAO_TRY(std::optional<std::string> file, read(kOwn));
  if (file) return Found({std::move(*file), place(kOwn)});
  MIAO_TRY(Found older, in_json(read, "chat_template.json", place("chat_template.json")));
  if (older) return older;
  return in_json(read, "tokenizer_config.json", place("tokenizer_config.json"));
}

}  // namespace miao::prep
