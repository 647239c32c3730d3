// SentencePiece's normalizer; see spm_normalizer.h. Order and corner cases are the library's: U+2581 of the text itself
// is a space at the end of the text, and nowhere else.
#include "prep/tok/spm_normalizer.h"

#include "prep/tok/unicode.h"

namespace miao::prep {

SpmNormalizer::Part SpmNormalizer::next(std::string_view text) const {
  if (kept) {
    if (const size_t size = kept->longest(text)) return {size, text.substr(0, size)};
  }
  if (map) {
    if (const auto hit = map->find(text, true)) return {hit->size, hit->replacement};
  }
  const size_t size = rune_at(text.data()).size;
  return {size, text.substr(0, size)};
}

void SpmNormalizer::run(const Source& source, size_t most, Text& out) const {
  std::string_view text = source.text;
  const std::string_view space = escape ? kMetaSpace : std::string_view(" ");
  const size_t before = out.bytes.size();
  while (squeeze && !text.empty()) {
    const Part part = next(text);
    if (part.text != " ") break;
    text.remove_prefix(part.size);
  }
  if (text.empty()) return;
  if (dummy_prefix && !suffix) out.put(space, source, text.substr(0, rune_at(text.data()).size));
  bool after_space = squeeze;
  std::string_view read;  // what the last part was made of
  while (!text.empty() && out.bytes.size() <= most) {
    Part part = next(text);
    read = text.substr(0, part.size);
    text.remove_prefix(part.size);
    while (after_space && part.text.starts_with(' ')) part.text.remove_prefix(1);
    for (const char c : part.text) {
      if (c == ' ') {
        out.bytes += space;
      } else {
        out.bytes += c;
      }
    }
    out.mark(source, read);
    if (!part.text.empty()) after_space = squeeze && part.text.ends_with(' ');
  }
  while (squeeze && out.bytes.size() >= before + space.size() && out.bytes.ends_with(space)) {
    out.resize(out.bytes.size() - space.size());
  }
  if (dummy_prefix && suffix) out.put(space, source, read);
}

}  // namespace miao::prep
