#include "runtime/text.h"

#include <string>

#include "base/json.h"

namespace miao::runtime {

namespace {

using Template = std::optional<prep::ChatTemplate>;

Result<Template> parse(std::string_view source, std::string_view where) {
  MIAO_TRY(prep::ChatTemplate parsed, prep::ChatTemplate::parse(source, where));
  return Template(std::move(parsed));
}

// The template in a JSON file of the model's folder: text, or a list of named ones with a "default".
Result<Template> template_of(const io::Checkpoint& checkpoint, const char* name) {
  MIAO_TRY(std::optional<std::string> text, checkpoint.text_file(name));
  if (!text) return Template();
  const std::string where = (checkpoint.path() / name).string();
  MIAO_TRY(Json config, parse_json(*text, where));
  if (!config.is_object() || !config.contains("chat_template")) return Template();
  const Json& value = config["chat_template"];
  if (value.is_string()) return parse(value.get<std::string>(), where);
  if (value.is_null()) return Template();
  if (value.is_array()) {
    for (const Json& entry : value) {
      if (entry.is_object() && entry.value("name", Json()) == "default" && entry.contains("template") &&
          entry["template"].is_string()) {
        return parse(entry["template"].get<std::string>(), where);
      }
    }
  }
  return Error{Code::invalid, "chat_template is neither text nor a list with an entry named 'default'", where};
}

}  // namespace

Result<prep::Tokenizer> load_tokenizer(const io::Checkpoint& checkpoint) {
  if (checkpoint.kind() == io::Checkpoint::Kind::gguf) return prep::Tokenizer::from_gguf(checkpoint.meta());
  return prep::Tokenizer::from_files([&](const char* name) { return checkpoint.text_file(name); },
                                     checkpoint.path().string());
}

Result<Template> load_chat_template(const io::Checkpoint& checkpoint) {
  if (checkpoint.kind() == io::Checkpoint::Kind::gguf) {
    const KeyValues& meta = checkpoint.meta();
    constexpr const char* kKey = "tokenizer.chat_template";
    if (!meta.has(kKey)) return Template();
    MIAO_TRY(std::string_view source, meta.string(kKey));
    return parse(source, meta.source() + ": " + kKey);
  }
  MIAO_TRY(std::optional<std::string> file, checkpoint.text_file("chat_template.jinja"));
  if (file) return parse(*file, (checkpoint.path() / "chat_template.jinja").string());
  MIAO_TRY(Template older, template_of(checkpoint, "chat_template.json"));
  return older ? Result<Template>(std::move(older)) : template_of(checkpoint, "tokenizer_config.json");
}

}  // namespace miao::runtime
