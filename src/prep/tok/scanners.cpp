// Scanners for the known pre-tokenizer expressions; see scanners.h.
//
// The alternatives of an expression are tried in order at p, as a backtracking engine would. The classes L, N, s and
// [^sLN] are disjoint, which is why almost no backtracking is left; where some is (o200k), it is spelled out.
#include "prep/tok/scanners.h"

#include <cstdint>

#include "prep/tok/unicode.h"

namespace miao::prep {
namespace {

constexpr uint32_t kLNS = kLetter | kNumber | kSpace;

// The end of the longest run of code points that have one of `flags` (or, with `none`, that have none of them).
template <bool none = false>
const char* run(const char* p, const char* end, uint32_t flags) {
  while (p < end) {
    const Classified c = class_at(p);
    if (((c.flags & flags) != 0) == none) break;
    p += c.size;
  }
  return p;
}

bool has(const char* p, const char* end, uint32_t flags) { return p < end && (class_at(p).flags & flags); }
bool lacks(const char* p, const char* end, uint32_t flags) { return p < end && !(class_at(p).flags & flags); }
bool is_newline(const char* p, const char* end) { return p < end && (*p == '\n' || *p == '\r'); }
const char* newlines(const char* p, const char* end) {
  while (is_newline(p, end)) ++p;
  return p;
}

// 's 't 're 've 'm 'll 'd at an apostrophe: bytes, or 0. With `fold` in any case, and U+017F is an s.
size_t contraction(const char* p, const char* end, bool fold) {
  if (end - p < 2 || *p != '\'') return 0;
  const auto letter = [&](size_t i) {
    return static_cast<char>(fold && p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
  };
  const char a = letter(1);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (end - p < 3) return 0;
  if (fold && p[1] == '\xC5' && p[2] == '\xBF') return 3;
  const char b = letter(2);
  return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+ at whitespace; with `newline` first \s*[\r\n]+ (which ends after the last line break of the run).
const char* whitespace(const char* p, const char* end, bool newline) {
  const char* last = p;
  const char* after_break = nullptr;
  const char* q = p;
  while (q < end) {
    const Classified c = class_at(q);
    if (!(c.flags & kSpace)) break;
    last = q;
    q += c.size;
    if (*last == '\n' || *last == '\r') after_break = q;
  }
  if (newline && after_break) return after_break;
  return q == end || last == p ? q : last;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
Stretch gpt2(const char* p, const char* end) {
  if (*p == '\'') {
    if (const size_t n = contraction(p, end, false)) return {p + n, true};
  }
  const char* q = *p == ' ' ? p + 1 : p;
  if (q < end) {
    const Classified c = class_at(q);
    if (c.flags & kLetter) return {run(q + c.size, end, kLetter), true};
    if (c.flags & kNumber) return {run(q + c.size, end, kNumber), true};
    if (!(c.flags & kSpace)) return {run<true>(q + c.size, end, kLNS), true};
  }
  return {whitespace(p, end, false), true};
}

// Llama 3 and its relatives:
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?W+|\p{N}{1,digits}|
//   ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// where W is \p{L} or, with marks, [\p{L}\p{M}] (and then \p{M} leaves the fourth alternative). `tail` false leaves the
// line breaks after punctuation out. `contractions` false leaves the first alternative out.
template <int digits, bool marks = false, bool tail = true, bool contractions = true>
Stretch llama3(const char* p, const char* end) {
  constexpr uint32_t word = marks ? kLetter | kMark : kLetter;
  if (contractions && *p == '\'') {
    if (const size_t n = contraction(p, end, true)) return {p + n, true};
  }
  const Classified c = class_at(p);
  if (c.flags & word) return {run(p + c.size, end, word), true};
  if (c.flags & kNumber) {
    const char* q = p + c.size;
    for (int i = 1; (digits == 0 || i < digits) && has(q, end, kNumber); ++i) q += class_at(q).size;
    return {q, true};
  }
  if (!is_newline(p, end) && has(p + c.size, end, word)) return {run(p + c.size, end, word), true};
  const char* q = *p == ' ' ? p + 1 : p;
  if (lacks(q, end, kLNS | word)) {
    q = run<true>(q, end, kLNS | word);
    return {tail ? newlines(q, end) : q, true};
  }
  return {whitespace(p, end, true), true};
}

// o200k and Tekken:
//   [^\r\n\p{L}\p{N}]?U*W+C?|[^\r\n\p{L}\p{N}]?U+W*C?|\p{N}{1,digits}|
//   ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
// with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], W = [\p{Ll}\p{Lm}\p{Lo}\p{M}], C = the contractions in any case.
// U and W share Lm, Lo and M, so U* may have to give characters back for W+.
bool is_upper(uint32_t flags) { return (flags & (kLetter | kMark)) && !(flags & kLower); }
bool is_lower(uint32_t flags) { return (flags & (kLetter | kMark)) && !(flags & kUpper); }

const char* lower_run(const char* p, const char* end) {
  while (p < end) {
    const Classified c = class_at(p);
    if (!is_lower(c.flags)) break;
    p += c.size;
  }
  return p;
}
// U*W+ at p, or nullptr; *upper_end is where U* stops.
const char* upper_lower(const char* p, const char* end, const char** upper_end) {
  const char* shared_end = nullptr;  // after the last character that both classes hold
  while (p < end) {
    const Classified c = class_at(p);
    if (!is_upper(c.flags)) break;
    p += c.size;
    if (is_lower(c.flags)) shared_end = p;
  }
  *upper_end = p;
  const char* q = lower_run(p, end);
  return q > p ? q : shared_end;
}

template <int digits, bool contractions>
Stretch o200k(const char* p, const char* end) {
  const auto finish = [&](const char* q) {
    return Stretch{contractions && q < end && *q == '\'' ? q + contraction(q, end, true) : q, true};
  };
  const Classified c = class_at(p);
  const bool prefix = !is_newline(p, end) && !(c.flags & (kLetter | kNumber));
  const char* after_upper = nullptr;
  const char* plain_upper = nullptr;
  if (prefix) {
    if (const char* q = upper_lower(p + c.size, end, &after_upper)) return finish(q);
  }
  if (c.flags & (kLetter | kMark)) {
    if (const char* q = upper_lower(p, end, &plain_upper)) return finish(q);
  }
  if (prefix && after_upper > p + c.size) return finish(after_upper);
  if (plain_upper && plain_upper > p) return finish(plain_upper);
  if (c.flags & kNumber) {
    const char* q = p + c.size;
    for (int i = 1; i < digits && has(q, end, kNumber); ++i) q += class_at(q).size;
    return {q, true};
  }
  const char* q = *p == ' ' ? p + 1 : p;
  if (lacks(q, end, kLNS)) {
    q = run<true>(q, end, kLNS);
    while (is_newline(q, end) || (q < end && *q == '/')) ++q;
    return {q, true};
  }
  return {whitespace(p, end, true), true};
}

// 's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+ (CLIP); whitespace lies between the matches.
Stretch clip(const char* p, const char* end) {
  if (*p == '\'') {
    if (const size_t n = contraction(p, end, false)) return {p + n, true};
  }
  const Classified c = class_at(p);
  if (c.flags & kLetter) return {run(p + c.size, end, kLetter), true};
  if (c.flags & kNumber) return {p + c.size, true};
  if (c.flags & kSpace) return {run(p + c.size, end, kSpace), false};
  return {run<true>(p + c.size, end, kLNS), true};
}

// \w+|[^\w\s]+
Stretch word(const char* p, const char* end) {
  const Classified c = class_at(p);
  if (c.flags & kWord) return {run(p + c.size, end, kWord), true};
  if (c.flags & kWhite) return {run(p + c.size, end, kWhite), false};
  return {run<true>(p + c.size, end, kWord | kWhite), true};
}

// Runs and single characters of one set, with everything else between them. `most` is the longest match, 0: no bound.
template <class InSet>
Stretch set_run(const char* p, const char* end, int most, InSet in_set) {
  bool match = false;
  int n = 0;
  for (const char* q = p; q < end; ++n) {
    const Rune r = rune_at(q);
    const bool member = in_set(r.value);
    if (n == 0) match = member;
    if (member != match || (match && most && n == most)) return {q, match};
    q += r.size;
  }
  return {end, match};
}

bool is_number(uint32_t cp) { return class_of(cp) & kNumber; }
template <int most>
Stretch numbers(const char* p, const char* end) {
  return set_run(p, end, most, is_number);
}
Stretch line_break(const char* p, const char* end) {
  return set_run(p, end, 1, [](uint32_t cp) { return cp == '\r' || cp == '\n'; });
}
Stretch blank_run(const char* p, const char* end) {  // " {2,}": a single blank is text
  if (*p == ' ') {
    const char* q = p;
    while (q < end && *q == ' ') ++q;
    if (q - p > 1) return {q, true};
    p = q;
  }
  for (; p < end; ++p) {
    if (*p == ' ' && p + 1 < end && p[1] == ' ') break;
  }
  return {p, false};
}
Stretch han_kana(const char* p, const char* end) {  // [U+4E00-U+9FA5 U+3040-U+309F U+30A0-U+30FF]+
  return set_run(p, end, 0,
                 [](uint32_t cp) { return (cp >= 0x4E00 && cp <= 0x9FA5) || (cp >= 0x3040 && cp <= 0x30FF); });
}
Stretch deepseek_cjk(const char* p, const char* end) {  // [U+4E00-U+9FA5 U+0800-U+4E00 U+AC00-U+D7FF]+
  return set_run(p, end, 0,
                 [](uint32_t cp) { return (cp >= 0x800 && cp <= 0x9FA5) || (cp >= 0xAC00 && cp <= 0xD7FF); });
}
Stretch three_digits(const char* p, const char* end) {  // [0-9][0-9][0-9]
  const auto digit = [&](const char* q) { return q < end && *q >= '0' && *q <= '9'; };
  const auto here = [&](const char* q) { return digit(q) && digit(q + 1) && digit(q + 2); };
  if (here(p)) return {p + 3, true};
  for (++p; p < end && !here(p);) ++p;
  return {p, false};
}
Stretch space_run(const char* p, const char* end) {
  return set_run(p, end, 0, [](uint32_t cp) { return (class_of(cp) & kSpace) != 0; });
}
// \s+$ where $ is the end of the text or of a line: of a run of whitespace the part before its last line break, which
// must not be its first character.
Stretch trailing_space(const char* p, const char* end) {
  for (const char* q = p; q < end;) {
    const char* space = run<true>(q, end, kSpace);
    q = run(space, end, kSpace);
    const char* stop = q;
    while (q < end && stop > space && *stop != '\n') --stop;
    if (stop > space) return space == p ? Stretch{stop, true} : Stretch{space, false};
  }
  return {end, false};
}

// \s?X+ where X is a class: whitespace before the run belongs to it.
template <uint32_t flags>
Stretch spaced_run(const char* p, const char* end) {
  const auto starts = [&](const char* q) -> const char* {
    const Classified c = class_at(q);
    if (c.flags & flags) return q;
    return (c.flags & kSpace) && has(q + c.size, end, flags) ? q + c.size : nullptr;
  };
  if (const char* q = starts(p)) return {run(q, end, flags), true};
  do {
    p += class_at(p).size;
  } while (p < end && !starts(p));
  return {p, false};
}

// [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
// ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+| \s+(?!\S)|\s+    (DeepSeek 3)
const char* deepseek3_match(const char* p, const char* end) {
  constexpr uint32_t lm = kLetter | kMark, ps = kPunct | kSymbol;
  const auto ascii_letter = [&](const char* q) { return q < end && ((*q | 32) >= 'a' && (*q | 32) <= 'z'); };
  const Classified c = class_at(p);
  if (static_cast<uint8_t>(*p) < 0x80 && (c.flags & ps) && ascii_letter(p + 1)) {
    const char* q = p + 1;
    while (ascii_letter(q)) ++q;
    return q;
  }
  if (c.flags & lm) return run(p + c.size, end, lm);
  if (!is_newline(p, end) && !(c.flags & ps) && has(p + c.size, end, lm)) return run(p + c.size, end, lm);
  const char* q = *p == ' ' ? p + 1 : p;
  if (has(q, end, ps)) return newlines(run(q, end, ps), end);
  return c.flags & kSpace ? whitespace(p, end, true) : nullptr;
}
Stretch deepseek3(const char* p, const char* end) {
  if (const char* q = deepseek3_match(p, end)) return {q, true};
  do {
    p += class_at(p).size;
  } while (p < end && !deepseek3_match(p, end));
  return {p, false};
}

//  ?[^(\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+ (BLOOM); the inner brackets nest, they are not in the set
bool bloom_stop(uint32_t cp) {
  switch (cp) {
    case '(':
    case '|':
    case ')':
    case '.':
    case ',':
    case '!':
    case '?':
    case 0x2026:
    case 0x3002:
    case 0xFF0C:
    case 0x3001:
    case 0x0964:
    case 0x06D4:
    case 0x060C:
      return true;
    default:
      return class_of(cp) & kSpace;
  }
}
Stretch bloom(const char* p, const char* end) {
  const auto in_set = [](uint32_t cp) { return !bloom_stop(cp); };
  const auto starts = [&](const char* q) {
    if (in_set(rune_at(q).value)) return true;
    return *q == ' ' && q + 1 < end && in_set(rune_at(q + 1).value);
  };
  if (starts(p)) return {set_run(*p == ' ' ? p + 1 : p, end, 0, in_set).end, true};
  do {
    p += rune_at(p).size;
  } while (p < end && !starts(p));
  return {p, false};
}

struct Known {
  std::string_view expression;
  Scanner scanner;
};

#define MIAO_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define MIAO_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define MIAO_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define MIAO_SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

constexpr Known kKnown[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", gpt2},
    {MIAO_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" MIAO_SPACES,
     llama3<3>},
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
     "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
     llama3<3>},
    {MIAO_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" MIAO_SPACES, llama3<1>},
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
     "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
     llama3<1>},
    {MIAO_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" MIAO_SPACES, llama3<0>},
    {MIAO_CONTRACTIONS
     "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" MIAO_SPACES,
     llama3<1, true>},
    {MIAO_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" MIAO_SPACES,
     llama3<1, false, false>},
    {"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" MIAO_SPACES, llama3<1, false, true, false>},
    {"[^\\r\\n\\p{L}\\p{N}]?" MIAO_UPPER "*" MIAO_LOWER "+" MIAO_CONTRACTIONS "?|[^\\r\\n\\p{L}\\p{N}]?" MIAO_UPPER
     "+" MIAO_LOWER "*" MIAO_CONTRACTIONS "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" MIAO_SPACES,
     o200k<3, true>},
    {"[^\\r\\n\\p{L}\\p{N}]?" MIAO_UPPER "*" MIAO_LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" MIAO_UPPER "+" MIAO_LOWER
     "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" MIAO_SPACES,
     o200k<1, false>},
    {"'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+", clip},
    {"\\w+|[^\\w\\s]+", word},
    {"\\p{N}", numbers<1>},
    {"\\p{N}{1,3}", numbers<3>},
    {"\\p{N}+", numbers<0>},
    {"[0-9][0-9][0-9]", three_digits},
    {"[\r\n]", line_break},
    {"[\\r\\n]", line_break},
    {" {2,}", blank_run},
    {"\\s+", space_run},
    {"\\s+$", trailing_space},
    {"\\s?\\p{L}+", spaced_run<kLetter>},
    {"\\s?\\p{P}+", spaced_run<kPunct>},
    {"[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+", han_kana},
    {"[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+", deepseek_cjk},
    {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
     " ?[\\p{P}\\p{S}]+[\\r\\n]*|" MIAO_SPACES,
     deepseek3},
    {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
     " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
     deepseek3},
    {" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+", bloom},
};

}  // namespace

Scanner find_scanner(std::string_view expression) {
  for (const Known& known : kKnown) {
    if (known.expression == expression) return known.scanner;
  }
  return nullptr;
}

Scanner gpt2_scanner() { return gpt2; }
Scanner word_scanner() { return word; }

}  // namespace miao::prep
