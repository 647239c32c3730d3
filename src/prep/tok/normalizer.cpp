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

struct Form {
  bool compatible, compose;
};
constexpr size_t kMaxParts = 32;

// The parts of one code point, one at least.
utf8proc_ssize_t decompose(uint32_t cp, Form form, utf8proc_int32_t (&parts)[kMaxParts]) {
  parts[0] = static_cast<utf8proc_int32_t>(cp);
  if (!(class_of(cp) & kNormal)) return 1;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (form.compatible ? UTF8PROC_COMPAT : 0));
  int boundary = 0;
  const utf8proc_ssize_t n = utf8proc_decompose_char(parts[0], parts, kMaxParts, options, &boundary);
  return n <= 0 || n > static_cast<utf8proc_ssize_t>(kMaxParts) ? 1 : n;  // no decomposition is that long
}

// Canonical (or compatibility) decomposition, marks in canonical order, then composition if asked.
// Marks are ordered by a stable sort: utf8proc's own loop is quadratic in a run of marks.
void append_form(std::string_view text, Form form, std::string& out) {
  if (is_ascii(text)) {
    out += text;
    return;
  }
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
    utf8proc_int32_t parts[kMaxParts];
    const utf8proc_ssize_t n = decompose(r.value, form, parts);
    for (utf8proc_ssize_t i = 0; i < n; ++i) {
      const bool mark = combining_class(parts[i]) != 0;
      if (!mark) order();
      points.push_back(parts[i]);
      if (!mark) run = points.size();
    }
  }
  order();
  if (form.compose) return append_composed(points, out);
  for (int32_t cp : points) append_utf8(out, static_cast<uint32_t>(cp));
}

// What begins with this code point stays apart from whatever stands before it.
bool begins_cluster(uint32_t cp, Form form) {
  if (cp < 0x300) return true;
  utf8proc_int32_t parts[kMaxParts];
  decompose(cp, form, parts);
  const auto category = utf8proc_category(parts[0]);
  const bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC;
  const bool jamo = parts[0] >= 0x1160 && parts[0] <= 0x11FF;  // vowels and final consonants
  return !mark && !jamo && combining_class(parts[0]) == 0;
}

// Where ranges are wanted, letters go with their marks one at a time. What the form leaves as it is, at the beginning
// and at the end of them, stands for itself; what it makes of the rest stands for all of that.
void form_cluster(const Source& source, std::string_view cluster, std::string_view made, Text& out) {
  const auto inside_rune = [](std::string_view text, size_t at) {
    return at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80;
  };
  const size_t most = std::min(cluster.size(), made.size());
  size_t head = 0, tail = 0;
  while (head < most && cluster[head] == made[head]) ++head;
  while (inside_rune(cluster, head) || inside_rune(made, head)) --head;
  while (tail < most - head && cluster[cluster.size() - tail - 1] == made[made.size() - tail - 1]) ++tail;
  while (inside_rune(cluster, cluster.size() - tail)) --tail;
  if (head + tail == cluster.size() && made.size() > cluster.size()) head = tail = 0;
  out.copy(source, cluster.substr(0, head));
  out.put(made.substr(head, made.size() - tail - head), source, cluster.substr(head, cluster.size() - tail - head));
  out.copy(source, cluster.substr(cluster.size() - tail));
}

void unicode_form(const Source& source, Form form, Text& out) {
  const std::string_view text = source.text;
  if (!source.from) return append_form(text, form, out.bytes);
  if (is_ascii(text)) return out.copy(source, text);
  std::string made;
  for (size_t begin = 0, end; begin < text.size(); begin = end) {
    end = begin;
    do {
      end += rune_at(text.data() + end).size;
    } while (end < text.size() && !begins_cluster(rune_at(text.data() + end).value, form));
    made.clear();
    append_form(text.substr(begin, end - begin), form, made);
    form_cluster(source, text.substr(begin, end - begin), made, out);
  }
}

template <class Change>
void each_rune(std::string_view text, Change&& change) {
  for (const char* p = text.data(); p < text.data() + text.size();) {
    const Rune r = rune_at(p);
    change(r.value, std::string_view(p, r.size));
    p += r.size;
  }
}

void drop(const Source& source, uint32_t flags, Text& out) {
  each_rune(source.text, [&](uint32_t cp, std::string_view bytes) {
    if (!(class_of(cp) & flags)) out.copy(source, bytes);
  });
}

void lower(const Source& source, Text& out) {
  each_rune(source.text, [&](uint32_t cp, std::string_view bytes) {
    append_lower(out.bytes, cp);
    out.mark(source, bytes);
  });
}

bool is_chinese(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void bert(const NormalizerStep& step, Source source, Text& out) {
  if (!source.from && is_ascii(source.text)) {  // nothing to decompose, no Chinese
    for (char c : source.text) {
      const uint32_t flags = kAsciiFlags[static_cast<uint8_t>(c)];
      if (step.clean_text && (flags & kControl)) continue;
      if (step.clean_text && (flags & kWhite)) c = ' ';
      out.bytes += static_cast<char>(step.lower && c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return;
  }
  Text cleaned, bare;
  if (step.clean_text || step.chinese) {
    each_rune(source.text, [&](uint32_t cp, std::string_view bytes) {
      const uint32_t flags = class_of(cp);
      if (step.clean_text && (flags & kControl)) return;
      if (step.clean_text && (flags & kWhite)) {
        cleaned.put(" ", source, bytes);
      } else if (step.chinese && is_chinese(cp)) {
        cleaned.put(" ", source, bytes);
        cleaned.copy(source, bytes);
        cleaned.put(" ", source, bytes);
      } else {
        cleaned.copy(source, bytes);
      }
    });
    source = cleaned.view();
  }
  if (step.accents) {
    Text decomposed;
    unicode_form(source, {.compatible = false, .compose = false}, decomposed);
    drop(decomposed.view(), kNonSpacing, bare);
    source = bare.view();
  }
  if (step.lower) {
    lower(source, out);
  } else {
    out.copy(source, source.text);
  }
}

void nmt(const Source& source, Text& out) {
  each_rune(source.text, [&](uint32_t c, std::string_view bytes) {
    if ((c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) return;
    const bool blank = c == 9 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                       c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
    out.put(blank ? std::string_view(" ") : bytes, source, bytes);
  });
}

void replace(const NormalizerStep& step, const Source& source, size_t most, Text& out) {
  const std::string_view text = source.text;
  if (step.scanner) {
    const char* end = text.data() + text.size();
    for (const char* p = text.data(); p < end && out.bytes.size() <= most;) {
      const Stretch s = step.scanner(p, end);
      const std::string_view part(p, static_cast<size_t>(s.end - p));
      s.match ? out.put(step.b, source, part) : out.copy(source, part);
      p = s.end;
    }
    return;
  }
  size_t done = 0;
  for (size_t at; (at = text.find(step.a, done)) != std::string_view::npos; done = at + step.a.size()) {
    out.copy(source, text.substr(done, at - done));
    out.put(step.b, source, text.substr(at, step.a.size()));
    if (out.bytes.size() > most) return;
  }
  out.copy(source, text.substr(done));
}

void squeeze(const Source& source, Text& out) {
  const std::string_view text = source.text;
  for (size_t at = 0, space; at < text.size(); at = space + 1) {
    space = std::min(text.find(' ', at), text.size());
    if (space > at && !out.bytes.empty()) out.copy(source, text.substr(at - 1, 1));
    out.copy(source, text.substr(at, space - at));
  }
}

// A step that a file can make grow its text much stops soon behind `most` bytes.
void apply(const NormalizerStep& step, const Source& source, size_t most, Text& out) {
  const std::string_view text = source.text;
  switch (step.kind) {
    case Kind::nfc:
      return unicode_form(source, {.compatible = false, .compose = true}, out);
    case Kind::nfd:
      return unicode_form(source, {.compatible = false, .compose = false}, out);
    case Kind::nfkc:
      return unicode_form(source, {.compatible = true, .compose = true}, out);
    case Kind::nfkd:
      return unicode_form(source, {.compatible = true, .compose = false}, out);
    case Kind::lowercase:
      return lower(source, out);
    case Kind::strip:
      return out.copy(source, strip_white(text, step.left, step.right));
    case Kind::strip_accents:
      return drop(source, kCombining, out);
    case Kind::replace:
      return replace(step, source, most, out);
    case Kind::prepend:
      if (!text.empty()) out.put(step.a, source, text.substr(0, rune_at(text.data()).size));
      return out.copy(source, text);
    case Kind::bert:
      return bert(step, source, out);
    case Kind::nmt:
      return nmt(source, out);
    case Kind::charsmap:
      return step.map->normalize(source, step.left, most, out);
    case Kind::squeeze:
      return squeeze(source, out);
    case Kind::sentencepiece:
      return step.spm->run(source, most, out);
  }
}

}  // namespace

Result<Source> Normalizer::run(const Source& source, size_t most, Text& buffer) const {
  if (steps.empty()) return source;
  Text from;
  for (const NormalizerStep& step : steps) {
    std::swap(from, buffer);
    buffer.clear();
    apply(step, &step == &steps.front() ? source : from.view(), most, buffer);
    if (buffer.bytes.size() > most) {
      return Error{Code::invalid, "normalizing makes more than " + std::to_string(most) + " bytes of the text"};
    }
  }
  return buffer.view();
}

}  // namespace miao::prep
