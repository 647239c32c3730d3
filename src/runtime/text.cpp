#include "runtime/text.h"

#include <string>

namespace miao::runtime {

namespace {

using Template = std::optional<prep::ChatTemplate>;

Result<Template> parse(std::string_view source, std::string_view where) {
  MIAO_TRY(prep::ChatTemplate parsed, prep::ChatTemplate::parse(source, where));
  return Template(std::move(parsed));
}

prep::ReadFile reader_of(const io::Checkpoint& checkpoint) {
  return [&checkpoint](const char* name) { return checkpoint.text_file(name); };
}

}  // namespace

Result<prep::Tokenizer> load_tokenizer(const io::Checkpoint& checkpoint) {
  if (checkpoint.kind() == io::Checkpoint::Kind::gguf) return prep::Tokenizer::from_gguf(checkpoint.meta());
  return prep::Tokenizer::from_files(reader_of(checkpoint), checkpoint.path().string());
}

Result<Template> load_chat_template(const io::Checkpoint& checkpoint) {
  if (checkpoint.kind() == io::Checkpoint::Kind::gguf) {
    const KeyValues& meta = checkpoint.meta();
    constexpr const char* kKey = "tokenizer.chat_template";
    if (!meta.has(kKey)) return Template();
    MIAO_TRY(std::string_view source, meta.string(kKey));
    return parse(source, meta.source() + ": " + kKey);
  }
  MIAO_TRY(const std::optional<prep::ChatTemplateText> found,
           prep::find_chat_template(reader_of(checkpoint), checkpoint.path().string()));
  return found ? parse(found->text, found->where) : Result<Template>(Template());
}

}  // namespace miao::runtime
