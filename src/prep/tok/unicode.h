// Unicode for the tokenizers: class bits of a code point, UTF-8 in and out, lower case.
//
// unicode_tables.inc holds two levels (code point / 128 -> block -> class index -> class bits), made by
// tools/gen_unicode.py from the library whose ids must be matched. All text in this module is valid UTF-8 once
// sanitize() has seen it, so the readers here do not check again.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace miao::prep {

struct LowerRange {
  uint32_t first, last;  // inclusive
  int32_t step, delta;   // every step-th code point c becomes c + delta
};

#include "prep/unicode_tables.inc"

inline uint32_t class_of(uint32_t cp) { return kClassFlags[kClassIndex[kClassBlock[cp >> 7]][cp & 127]]; }

inline constexpr auto kAsciiFlags = [] {
  std::array<uint32_t, 128> flags{};
  for (uint32_t c = 0; c < 128; ++c) flags[c] = kClassFlags[kClassIndex[kClassBlock[0]][c]];
  return flags;
}();

struct Rune {
  uint32_t value;
  uint32_t size;  // bytes
};

// The code point at `p`, which is inside valid UTF-8.
inline Rune rune_at(const char* p) {
  const auto* u = reinterpret_cast<const uint8_t*>(p);
  if (u[0] < 0x80) return {u[0], 1};
  if (u[0] < 0xE0) return {(u[0] & 0x1Fu) << 6 | (u[1] & 0x3Fu), 2};
  if (u[0] < 0xF0) return {(u[0] & 0x0Fu) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu), 3};
  return {(u[0] & 0x07u) << 18 | (u[1] & 0x3Fu) << 12 | (u[2] & 0x3Fu) << 6 | (u[3] & 0x3Fu), 4};
}

struct Classified {
  uint32_t flags;
  uint32_t size;  // bytes
};
inline Classified class_at(const char* p) {
  const auto c = static_cast<uint8_t>(*p);
  if (c < 0x80) return {kAsciiFlags[c], 1};
  const Rune r = rune_at(p);
  return {class_of(r.value), r.size};
}

// The class bits of the code point that ends just before `p` (p > begin).
uint32_t class_before(const char* begin, const char* p);

std::string_view strip_white(std::string_view text, bool left, bool right);

void append_utf8(std::string& out, uint32_t cp);
size_t utf8_length(std::string_view text);  // code points

// Length of the valid code point at `p` (1..4), or 0 with *bad set to the bytes of the broken sequence that one U+FFFD
// stands for (the longest prefix of a code point, at least 1). *cut tells that the text ended inside a code point.
size_t valid_rune(const char* p, const char* end, size_t* bad, bool* cut);

bool is_utf8(std::string_view text);
void append_lossy(std::string& out, std::string_view bytes);  // broken sequences become U+FFFD

// Lower case of one code point, appended (U+0130 becomes two).
void append_lower(std::string& out, uint32_t cp);

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
inline constexpr std::string_view kMetaSpace = "\xE2\x96\x81";    // U+2581

}  // namespace miao::prep
