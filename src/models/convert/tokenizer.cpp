// The tokenizer and the chat template of a directory as keys; see parts.h. What is written is read back: what stands
// around a text, and around two, is compared.
#include "models/convert/parts.h"
#include "prep/chat_template.h"
#include "prep/tokenizer_keys.h"

namespace miao::models {

namespace {

// Two texts as one input, where the tokenizer says how.
std::vector<int32_t> pair_of(const prep::Tokenizer& tokenizer) {
  const std::vector<int32_t> first = {-1}, second = {-2};
  const auto joined = tokenizer.join(first, second);
  return joined.ok() ? joined->ids : std::vector<int32_t>();
}

bool same_ids(std::span<const int32_t> a, std::span<const int32_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

Result<void> write_tokenizer(const io::Checkpoint& source, const ModelSpec& spec, bool frame, Converted& out) {
  const prep::ReadFile read = [&](const char* name) { return source.text_file(name); };
  const std::string where = source.path().string();
  auto tokenizer = prep::Tokenizer::from_files(read, where);
  if (!tokenizer.ok() && tokenizer.error().code == Code::not_found) {
    out.notes.push_back("the model has no tokenizer, so the file has none: programs that take text do not read it");
    return {};
  }
  if (!tokenizer.ok()) return std::move(tokenizer.error());
  auto written = prep::gguf_keys(*tokenizer, spec.vocab, frame);
  if (!written.ok()) return std::move(written.error()).at(where);
  for (auto& [key, value] : written->keys)
    std::visit([&, k = std::string_view(key)](auto& v) { out.metadata.set(k, v); }, value);
  out.notes.insert(out.notes.end(), written->notes.begin(), written->notes.end());

  MIAO_TRY(const std::optional<prep::ChatTemplateText> chat, prep::find_chat_template(read, where));
  if (chat) out.metadata.set("tokenizer.chat_template", chat->text);

  MIAO_TRY(const io::Checkpoint planned, io::Checkpoint::planned(source.path(), out.metadata, {}));
  MIAO_TRY(const prep::Tokenizer again, prep::Tokenizer::from_gguf(planned.meta()));
  if (!frame) return {};
  if (!same_ids(again.prefix(), tokenizer->prefix()) || !same_ids(again.suffix(), tokenizer->suffix())) {
    return Error{Code::unsupported, "GGUF files cannot say what this tokenizer puts around a text", where};
  }
  if (spec.shape == ModelSpec::Shape::encoder && pair_of(again) != pair_of(*tokenizer))
    out.notes.push_back("GGUF files do not say how two texts of this tokenizer stand together: rerankers may differ");
  return {};
}

}  // namespace miao::models
