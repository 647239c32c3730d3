// Reads and applies a precompiled character map; see charsmap.h. Every array access is checked: the map is file data.
#include "prep/tok/charsmap.h"

#include <utf8proc.h>

#include <algorithm>

#include "prep/tok/unicode.h"

namespace miao::prep {

namespace {
constexpr size_t kMaxReplacement = 256;  // bytes; Unicode's longest has 54
constexpr size_t kMaxEntry = 256;        // bytes; the units of a bad file may form a ring
}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view blob) {
  const auto u32 = [&](size_t at) {
    uint32_t v = 0;
    for (size_t i = 0; i < 4; ++i) v |= static_cast<uint32_t>(static_cast<uint8_t>(blob[at + i])) << (8 * i);
    return v;
  };
  if (blob.size() < 4)
    return Error{Code::corrupt, "precompiled charsmap of " + std::to_string(blob.size()) + " bytes has no header"};
  const uint32_t trie = u32(0);
  if (trie % 4 || trie < 4 || trie > blob.size() - 4) {
    return Error{Code::corrupt, "precompiled charsmap: the trie of " + std::to_string(trie) +
                                    " bytes does not fit in " + std::to_string(blob.size()) + " bytes"};
  }
  Charsmap map;
  map.units_.resize(trie / 4);
  for (size_t i = 0; i < map.units_.size(); ++i) map.units_[i] = u32(4 + 4 * i);
  map.replacements_ = blob.substr(4 + trie);
  for (size_t begin = 0, end; begin < map.replacements_.size(); begin = end + 1) {
    end = std::min(map.replacements_.find('\0', begin), map.replacements_.size());
    if (end - begin > kMaxReplacement) return Error{Code::corrupt, "precompiled charsmap: a replacement is too long"};
  }
  if (!is_utf8(map.replacements_))
    return Error{Code::corrupt, "precompiled charsmap: a replacement is not valid UTF-8"};
  return map;
}

std::string Charsmap::blob() const {
  std::string out;
  const auto put = [&](uint32_t v) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(v >> shift);
  };
  put(static_cast<uint32_t>(units_.size() * 4));
  for (const uint32_t unit : units_) put(unit);
  return out + replacements_;
}

std::optional<Charsmap::Hit> Charsmap::find(std::string_view text, bool longest) const {
  const auto offset = [](uint32_t unit) -> uint64_t {
    return static_cast<uint64_t>(unit >> 10) << ((unit & 0x200) >> 6);
  };
  std::optional<Hit> hit;
  text = text.substr(0, kMaxEntry);
  uint64_t at = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size()) break;
    const uint32_t unit = units_[at];
    if ((unit & 0x800000FFu) != byte) break;
    at ^= offset(unit);
    if (!(unit & 0x100)) continue;
    if (at >= units_.size()) break;
    const uint32_t value = units_[at] & 0x7FFFFFFFu;
    if (value > replacements_.size()) break;
    hit = {i + 1, std::string_view(replacements_).substr(value, replacements_.find('\0', value) - value)};
    // A value inside a code point of the arena would break UTF-8.
    if (!hit->replacement.empty() && (static_cast<uint8_t>(hit->replacement[0]) & 0xC0) == 0x80) hit.reset();
    if (!longest) break;
  }
  return hit;
}

namespace {

// A grapheme boundary between two code points. utf8proc's Unicode lacks the newest marks, which kJoins adds.
bool cluster_break(uint32_t before, uint32_t after, utf8proc_int32_t* state) {
  if (!utf8proc_grapheme_break_stateful(static_cast<int32_t>(before), static_cast<int32_t>(after), state)) return false;
  if (!(class_of(after) & kJoins)) return true;
  const auto bound = utf8proc_get_property(static_cast<int32_t>(before))->boundclass;
  return bound == UTF8PROC_BOUNDCLASS_CONTROL || bound == UTF8PROC_BOUNDCLASS_CR || bound == UTF8PROC_BOUNDCLASS_LF;
}

}  // namespace

void Charsmap::normalize(const Source& source, bool clusters, size_t most, Text& out) const {
  const std::string_view text = source.text;
  const auto put = [&](const std::optional<Hit>& hit, std::string_view part) {
    hit ? out.put(hit->replacement, source, part) : out.copy(source, part);
  };
  const char* p = text.data();
  const char* end = p + text.size();
  if (!clusters) {
    while (p < end && out.bytes.size() <= most) {
      const auto hit = find({p, static_cast<size_t>(end - p)}, true);
      const std::string_view part(p, hit ? hit->size : rune_at(p).size);
      put(hit, part);
      p += part.size();
    }
    return;
  }
  while (p < end && out.bytes.size() <= most) {
    Rune r = rune_at(p);
    const char* q = p + r.size;
    utf8proc_int32_t state = 0;
    while (q < end) {
      const Rune next = rune_at(q);
      if (cluster_break(r.value, next.value, &state)) break;
      r = next;
      q += r.size;
    }
    const std::string_view cluster(p, static_cast<size_t>(q - p));
    if (const auto hit = cluster.size() < 6 ? find(cluster, false) : std::nullopt) {
      put(hit, cluster);
    } else {
      for (const char* c = p; c < q && out.bytes.size() <= most;) {
        const std::string_view one(c, rune_at(c).size);
        put(find(one, false), one);
        c += one.size();
      }
    }
    p = q;
  }
}

}  // namespace miao::prep
