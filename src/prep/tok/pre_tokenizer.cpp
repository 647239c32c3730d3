// Runs the steps of a pre-tokenizer; see pre_tokenizer.h.
#include "prep/tok/pre_tokenizer.h"

#include "prep/tok/unicode.h"

namespace miao::prep {
namespace {

// Calls emit(begin, end) for the stretches that `behavior` makes of the matches and gaps that next(p) yields.
template <class NextStretch, class Emit>
void apply(Behavior behavior, bool invert, std::string_view text, NextStretch&& next, Emit&& emit) {
  const char* p = text.data();
  const char* end = p + text.size();
  const char* pending = p;  // begin of a stretch that is not complete yet
  bool previous = false;    // the last stretch was a match
  bool open = false;        // pending .. p may still grow
  while (p < end) {
    const Stretch s = next(p, end);
    const bool match = s.match != invert;
    switch (behavior) {
      case Behavior::removed:
        if (!match) emit(p, s.end);
        break;
      case Behavior::isolated:
        emit(p, s.end);
        break;
      case Behavior::contiguous:
        if (open && match != previous) {
          emit(pending, p);
          pending = p;
        }
        open = true;
        break;
      case Behavior::merged_with_previous:  // text, match | match | text, match
        if (open && !(match && !previous)) {
          emit(pending, p);
          pending = p;
        }
        open = true;
        break;
      case Behavior::merged_with_next:  // match | match, text
        if (open && !(previous && !match)) {
          emit(pending, p);
          pending = p;
        }
        open = true;
        break;
    }
    previous = match;
    p = s.end;
  }
  if (open) emit(pending, end);
}

Stretch find_text(const char* p, const char* end, std::string_view pattern) {
  const std::string_view rest(p, static_cast<size_t>(end - p));
  if (rest.substr(0, pattern.size()) == pattern) return {p + pattern.size(), true};
  const size_t at = rest.find(pattern);
  return {at == std::string_view::npos ? end : p + at, false};
}

Stretch one_of(const char* p, const char* end, uint32_t flags) {
  const Classified first = class_at(p);
  p += first.size;
  if (first.flags & flags) return {p, true};
  while (p < end) {
    const Classified c = class_at(p);
    if (c.flags & flags) break;
    p += c.size;
  }
  return {p, false};
}

// Code points of bytes behind ByteLevel are numeric for the bytes '0'..'9' and for those of the superscripts and
// fractions of Latin-1, which ByteLevel spells as themselves.
Stretch byte_digit(const char* p, const char* end) {
  const auto digit = [](char c) {
    const auto b = static_cast<uint8_t>(c);
    return (b >= '0' && b <= '9') || b == 0xB2 || b == 0xB3 || b == 0xB9 || (b >= 0xBC && b <= 0xBE);
  };
  if (digit(*p)) return {p + 1, true};
  for (++p; p < end && !digit(*p);) ++p;
  return {p, false};
}

}  // namespace

template <class Next>
void PreTokenizer::cut(const PreStep& s, std::string_view text, Next&& emit) const {
  switch (s.kind) {
    case PreStep::Kind::split:
      if (s.scanner && s.behavior == Behavior::isolated) {
        const char* p = text.data();
        const char* end = p + text.size();
        while (p < end) {
          const char* q = s.scanner(p, end).end;
          emit(p, q);
          p = q;
        }
      } else if (s.scanner) {
        apply(s.behavior, s.invert, text, s.scanner, emit);
      } else {
        apply(
            s.behavior, s.invert, text, [&](auto* p, auto* end) { return find_text(p, end, s.pattern); }, emit);
      }
      break;
    case PreStep::Kind::characters:
      apply(
          s.behavior, s.invert, text, [&](auto* p, auto* end) { return one_of(p, end, s.flags); }, emit);
      break;
    case PreStep::Kind::byte_digits:
      apply(s.behavior, s.invert, text, byte_digit, emit);
      break;
    default:
      apply(
          s.behavior, s.invert, text, [&](auto* p, auto* end) { return find_text(p, end, s.pattern); }, emit);
  }
}

void PreTokenizer::step(size_t at, Source source, bool origin, const Model& model, Scratch& scratch,
                        Pieces& out) const {
  if (at == steps.size()) {
    if (source.from) out.word = source;
    return model.encode(source.text, out);
  }
  const PreStep& s = steps[at];
  const std::string_view text = source.text;
  const auto first = [&] { return text.substr(0, rune_at(text.data()).size); };  // what a prefix stands for
  Text& own = scratch.text[at];
  if (s.kind == PreStep::Kind::prefix) {
    if (text.front() == ' ') return step(at + 1, source, origin, model, scratch, out);
    own.clear();
    own.put(" ", source, first());
    own.copy(source, text);
    return step(at + 1, own.view(), origin, model, scratch, out);
  }
  if (s.kind == PreStep::Kind::metaspace) {
    own.clear();
    if (s.prepend == Prepend::always || (s.prepend == Prepend::first && origin)) {
      if (text.front() != ' ' && !text.starts_with(s.pattern)) own.put(s.pattern, source, first());
    }
    for (size_t i = 0; i < text.size();) {
      const size_t space = std::min(text.find(' ', i), text.size());
      own.copy(source, text.substr(i, space - i));
      if (space < text.size()) own.put(s.pattern, source, text.substr(space, 1));
      i = space + 1;
    }
    source = own.view();
    if (!s.cut) return step(at + 1, source, origin, model, scratch, out);
  }
  const char* start = source.text.data();
  cut(s, source.text, [&](const char* p, const char* end) {
    step(at + 1, source.part({p, static_cast<size_t>(end - p)}), origin && p == start, model, scratch, out);
  });
}

}  // namespace miao::prep
