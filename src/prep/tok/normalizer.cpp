// The steps of a normalizer; see normalizer.h. Decomposition and composition data come from utf8proc.
#include "prep/tok/normalizer.h"

#include <utf8proc.h>

#include <algorithm>

#include "prep/tok/unicode.h"

namespace miao::prep {
namespace {

using Kind = NormalizerStep::Kind;

bool is_ascii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<uint8_t>(c) >= 0x80; });
}

// utf8proc knows a later Unicode than the reference: what has no normal form there has none here either.
int combining_class(int32_t cp) {
  if (cp < 0x300 || !(class_of(static_cast<uint32_t>(cp)) & kNormal)) return 0;
  return utf8proc_get_property(cp)->combining_class;
}

// Composes runs of `points`, cut before the code points that must not compose or let others compose over them.
void append_composed(std::vector<utf8proc_int32_t>& points, std::string& out) {
  const auto cut = [](int32_t cp) {
    // U+11A7 is one before the first trailing jamo; utf8proc takes it for one and drops it.
    return cp == 0x11930 || cp == 0x11A7 ||
           (!(class_of(static_cast<uint32_t>(cp)) & kNormal) && utf8proc_get_property(cp)->combining_class);
  };
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  for (size_t begin = 0; begin < points.size();) {
    size_t end = begin + 1;
    while (end < points.size() && (points[end] < 0x300 || !cut(points[end]))) ++end;
    const auto n = utf8proc_normalize_utf32(&points[begin], static_cast<utf8proc_ssize_t>(end - begin), options);
    for (utf8proc_ssize_t i = 0; i < n; ++i)
      append_utf8(out, static_cast<uint32_t>(points[begin + static_cast<size_t>(i)]));
    begin = end;
  }
}

// Canonical (or compatibility) decomposition, marks in canonical order, then composition if asked.
// Marks are ordered by a stable sort: utf8proc's own loop is quadratic in a run of marks.
void unicode_form(std::string_view text, bool compatible, bool compose, std::string& out) {
  if (is_ascii(text)) {
    out += text;
    return;
  }
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  size_t run = 0;  // begin of the marks at the end of `points`
  const auto order = [&] {
    if (points.size() - run > 1) {
      std::stable_sort(points.begin() + static_cast<ptrdiff_t>(run), points.end(),
                       [](int32_t a, int32_t b) { return combining_class(a) < combining_class(b); });
    }
  };
  for (const char* p = text.data(); p < text.data() + text.size();) {
    const Rune r = rune_at(p);
    p += r.size;
    utf8proc_int32_t parts[32] = {static_cast<utf8proc_int32_t>(r.value)};
    utf8proc_ssize_t n = 1;
    if (class_of(r.value) & kNormal) {
      int boundary = 0;
      n = utf8proc_decompose_char(parts[0], parts, 32, options, &boundary);
      if (n <= 0 || n > 32) n = 1;  // no decomposition is that long
    }
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
      const bool mark = combining_class(parts[i]) != 0;
      if (!mark) order();
      points.push_back(parts[i]);
      if (!mark) run = points.size();
    }
  }
  order();
  if (compose) return append_composed(points, out);
  for (int32_t cp : points) append_utf8(out, static_cast<uint32_t>(cp));
}

template <class Change>
void each_rune(std::string_view text, Change&& change) {
  for (const char* p = text.data(); p < text.data() + text.size();) {
    const Rune r = rune_at(p);
    change(r.value, std::string_view(p, r.size));
    p += r.size;
  }
}

void drop(std::string_view text, uint32_t flags, std::string& out) {
  each_rune(text, [&](uint32_t cp, std::string_view bytes) {
    if (!(class_of(cp) & flags)) out += bytes;
  });
}

void lower(std::string_view text, std::string& out) {
  each_rune(text, [&](uint32_t cp, std::string_view) { append_lower(out, cp); });
}

bool is_chinese(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void bert(const NormalizerStep& step, std::string_view text, std::string& out) {
  if (is_ascii(text)) {  // nothing to decompose, no Chinese
    for (char c : text) {
      const uint32_t flags = kAsciiFlags[static_cast<uint8_t>(c)];
      if (step.clean_text && (flags & kControl)) continue;
      if (step.clean_text && (flags & kWhite)) c = ' ';
      out += static_cast<char>(step.lower && c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return;
  }
  std::string cleaned, bare;
  if (step.clean_text || step.chinese) {
    each_rune(text, [&](uint32_t cp, std::string_view bytes) {
      const uint32_t flags = class_of(cp);
      if (step.clean_text && (flags & kControl)) return;
      if (step.clean_text && (flags & kWhite)) {
        cleaned += ' ';
      } else if (step.chinese && is_chinese(cp)) {
        cleaned += ' ';
        cleaned += bytes;
        cleaned += ' ';
      } else {
        cleaned += bytes;
      }
    });
    text = cleaned;
  }
  if (step.accents) {
    std::string decomposed;
    unicode_form(text, false, false, decomposed);
    drop(decomposed, kNonSpacing, bare);
    text = bare;
  }
  if (step.lower) {
    lower(text, out);
  } else {
    out += text;
  }
}

void nmt(std::string_view text, std::string& out) {
  each_rune(text, [&](uint32_t c, std::string_view bytes) {
    if ((c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return;
    const bool blank = c == 9 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                       c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    out += blank ? std::string_view(" ") : bytes;
  });
}

std::string_view strip(std::string_view text, bool left, bool right) {
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

void replace(const NormalizerStep& step, std::string_view text, size_t most, std::string& out) {
  if (step.scanner) {
    const char* end = text.data() + text.size();
    for (const char* p = text.data(); p < end && out.size() <= most;) {
      const Stretch s = step.scanner(p, end);
      out += s.match ? std::string_view(step.b) : std::string_view(p, static_cast<size_t>(s.end - p));
      p = s.end;
    }
    return;
  }
  size_t done = 0;
  for (size_t at; (at = text.find(step.a, done)) != std::string_view::npos; done = at + step.a.size()) {
    out += text.substr(done, at - done);
    out += step.b;
    if (out.size() > most) return;
  }
  out += text.substr(done);
}

void squeeze(std::string_view text, std::string& out) {
  const size_t before = out.size();
  bool space = true;
  for (char c : text) {
    if (c != ' ' || !space) out += c;
    space = c == ' ';
  }
  if (out.size() > before && out.back() == ' ') out.pop_back();
}

// A step that a file can make grow its text much stops soon behind `most` bytes.
void apply(const NormalizerStep& step, std::string_view text, size_t most, std::string& out) {
  switch (step.kind) {
    case Kind::nfc:
      return unicode_form(text, false, true, out);
    case Kind::nfd:
      return unicode_form(text, false, false, out);
    case Kind::nfkc:
      return unicode_form(text, true, true, out);
    case Kind::nfkd:
      return unicode_form(text, true, false, out);
    case Kind::lowercase:
      return lower(text, out);
    case Kind::strip:
      out += strip(text, step.left, step.right);
      return;
    case Kind::strip_accents:
      return drop(text, kCombining, out);
    case Kind::replace:
      return replace(step, text, most, out);
    case Kind::prepend:
      if (!text.empty()) out += step.a;
      out += text;
      return;
    case Kind::bert:
      return bert(step, text, out);
    case Kind::nmt:
      return nmt(text, out);
    case Kind::charsmap:
      return step.map->normalize(text, step.left, most, out);
    case Kind::squeeze:
      return squeeze(text, out);
    case Kind::sentencepiece:
      return step.spm->run(text, most, out);
  }
}

}  // namespace

Result<std::string_view> Normalizer::run(std::string_view text, size_t most, std::string& buffer) const {
  if (steps.empty()) return text;
  std::string from;
  for (const NormalizerStep& step : steps) {
    std::swap(from, buffer);
    buffer.clear();
    apply(step, &step == &steps.front() ? text : std::string_view(from), most, buffer);
    if (buffer.size() > most) {
      return Error{Code::invalid, "normalizing makes more than " + std::to_string(most) + " bytes of the text"};
    }
  }
  return std::string_view(buffer);
}

}  // namespace miao::prep
