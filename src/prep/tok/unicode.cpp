// UTF-8 and case. The broken-sequence rule is that of Unicode chapter 3 (maximal subparts), as Rust's from_utf8_lossy.
#include "prep/tok/unicode.h"

#include <simdjson.h>

#include <algorithm>

namespace miao::prep {

uint32_t class_before(const char* begin, const char* p) {
  do {
    --p;
  } while (p > begin && (static_cast<uint8_t>(*p) & 0xC0) == 0x80);
  return class_at(p).flags;
}

std::string_view strip_white(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    const Classified c = class_at(text.data());
    if (!(c.flags & kWhite)) break;
    text.remove_prefix(c.size);
  }
  while (right && !text.empty() && (class_before(text.data(), text.data() + text.size()) & kWhite)) {
    while ((static_cast<uint8_t>(text.back()) & 0xC0) == 0x80) text.remove_suffix(1);
    text.remove_suffix(1);
  }
  return text;
}

void append_utf8(std::string& out, uint32_t cp) {
  if (cp < 0x80) {
    out += static_cast<char>(cp);
  } else if (cp < 0x800) {
    out += static_cast<char>(0xC0 | cp >> 6);
    out += static_cast<char>(0x80 | (cp & 0x3F));
  } else if (cp < 0x10000) {
    out += static_cast<char>(0xE0 | cp >> 12);
    out += static_cast<char>(0x80 | (cp >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (cp & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | cp >> 18);
    out += static_cast<char>(0x80 | (cp >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (cp >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (cp & 0x3F));
  }
}

size_t utf8_length(std::string_view text) {
  size_t n = 0;
  for (char c : text) n += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  return n;
}

size_t valid_rune(const char* p, const char* end, size_t* bad, bool* cut) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(p[i]); };
  *bad = 1;
  *cut = false;
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  size_t size = 0;
  uint8_t low = 0x80, high = 0xBF;  // bounds of the second byte: no overlong forms, surrogates, or values past 10FFFF
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  for (size_t i = 1; i < size; ++i) {
    *bad = i;
    if (p + i == end) {
      *cut = true;
      return 0;
    }
    if (byte(i) < (i == 1 ? low : 0x80) || byte(i) > (i == 1 ? high : 0xBF)) return 0;
  }
  return size;
}

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

void append_lossy(std::string& out, std::string_view bytes) {
  const char* p = bytes.data();
  const char* end = p + bytes.size();
  while (p < end) {
    size_t bad;
    bool cut;
    if (const size_t size = valid_rune(p, end, &bad, &cut)) {
      out.append(p, size);
      p += size;
    } else {
      out += kReplacement;
      p += bad;
    }
  }
}

void append_lower(std::string& out, uint32_t cp) {
  if (cp < 0x80) {
    out += static_cast<char>(cp >= 'A' && cp <= 'Z' ? cp + 32 : cp);
    return;
  }
  if (cp == 0x130) {
    out += "i\xCC\x87";
    return;
  }
  const auto* r = std::lower_bound(std::begin(kLowerRanges), std::end(kLowerRanges), cp,
                                   [](const LowerRange& a, uint32_t c) { return a.last < c; });
  if (r != std::end(kLowerRanges) && cp >= r->first && (cp - r->first) % r->step == 0) cp += r->delta;
  append_utf8(out, cp);
}

}  // namespace miao::prep
