// str methods. Positions count code points, as in Python; pieces keep provenance.
#include <algorithm>

#include "prep/jinja/format.h"
#include "prep/jinja/methods.h"
#include "prep/jinja/print.h"
#include "prep/jinja/search.h"
#include "prep/jinja/text_ops.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

const Value* or_null(const Value* v) { return v && !v->is(Kind::none) ? v : nullptr; }

Result<void> pay(Machine& m, const Value& self) { return m.budget.text(self.text().size()); }

template <bool left, bool right>
Result<Value> do_strip(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  return strip(self.text(), or_null(b[0]), left, right);
}

template <Text (*map)(const Text&)>
Result<Value> mapped(Machine& m, const Value& self, const Bound&) {
  MIAO_CHECK_OK(pay(m, self));
  return Value(map(self.text()));
}

// title(): every run of letters starts with a capital. swapcase(): each letter in the other case.
Result<Value> do_title(Machine& m, const Value& self, const Bound&) {
  MIAO_CHECK_OK(pay(m, self));
  Text out;
  bool inside = false;
  self.text().each_run(0, self.text().size(), [&](std::string_view bytes, bool trusted) {
    std::string piece;
    for (size_t at = 0; at < bytes.size();) {
      const char32_t c = next_code_point(bytes, at);
      if (inside)
        append_lower(piece, c);
      else
        append_title(piece, c);
      inside = is_upper(c) || is_lower(c);
    }
    out.append(piece, trusted);
  });
  return Value(std::move(out));
}

Text swapped(const Text& text) {
  Text out;
  text.each_run(0, text.size(), [&](std::string_view bytes, bool trusted) {
    std::string piece;
    for (size_t at = 0; at < bytes.size();) {
      const char32_t c = next_code_point(bytes, at);
      if (is_upper(c))
        append_lower(piece, c);
      else
        append_upper(piece, c);
    }
    out.append(piece, trusted);
  });
  return out;
}

Result<Value> text_list(Machine& m, const Text& text, const std::vector<std::pair<size_t, size_t>>& ranges) {
  MIAO_CHECK_OK(m.budget.items(ranges.size()));
  std::vector<Value> items;
  items.reserve(ranges.size());
  for (const auto& [begin, end] : ranges) items.emplace_back(text.slice(begin, end));
  return make_list(Kind::list, std::move(items));
}

// Splits at blanks; from the right when `backward`.
std::vector<std::pair<size_t, size_t>> split_blanks(std::string_view text, int64_t limit, bool backward) {
  std::vector<std::pair<size_t, size_t>> words;
  for (size_t at = 0; at < text.size();) {
    size_t next = at;
    if (is_space(next_code_point(text, next))) {
      at = next;
      continue;
    }
    size_t end = at;
    while (end < text.size()) {
      next = end;
      if (is_space(next_code_point(text, next))) break;
      end = next;
    }
    words.emplace_back(at, end);
    at = end;
  }
  const auto count = static_cast<int64_t>(words.size());
  if (limit < 0 || count <= limit + 1) return words;
  const auto keep = static_cast<size_t>(limit);
  if (backward) {  // the first words stay together
    const size_t joined = words.size() - keep;
    words[joined - 1].first = 0;
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(joined - 1));
    size_t begin = 0;
    while (begin < words[0].second) {
      size_t next = begin;
      if (!is_space(next_code_point(text, next))) break;
      begin = next;
    }
    words[0].first = 0;
  } else {
    words[keep].second = text.size();
    words.resize(keep + 1);
  }
  return words;
}

template <bool backward>
Result<Value> do_split(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  const std::string_view text = self.text().view();
  MIAO_TRY(const int64_t limit, integer_or(b[1], -1, "maxsplit"));
  if (!or_null(b[0])) return text_list(m, self.text(), split_blanks(text, limit, backward));
  MIAO_TRY(const Text* separator, want_text(*b[0], "separator"));
  if (separator->empty()) return type_error("empty separator");
  const std::string_view mark = separator->view();
  std::vector<std::pair<size_t, size_t>> parts;
  if (!backward) {
    size_t at = 0;
    for (int64_t i = 0; limit < 0 || i < limit; ++i) {
      const size_t hit = find_first(text, mark, at);
      if (hit == std::string_view::npos) break;
      parts.emplace_back(at, hit);
      at = hit + mark.size();
    }
    parts.emplace_back(at, text.size());
  } else {
    size_t end = text.size();
    for (int64_t i = 0; limit < 0 || i < limit; ++i) {
      const size_t hit = find_last(text, mark, end);
      if (hit == std::string_view::npos) break;
      MIAO_CHECK_OK(m.budget.text(mark.size()));
      parts.emplace_back(hit + mark.size(), end);
      end = hit;
    }
    parts.emplace_back(0, end);
    std::reverse(parts.begin(), parts.end());
  }
  return text_list(m, self.text(), parts);
}

Result<Value> do_splitlines(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  return text_list(m, self.text(), line_ranges(self.text(), flag_or(b[0], false)));
}

template <bool backward>
Result<Value> do_partition(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  MIAO_TRY(const Text* mark, want_text(*b[0], "separator"));
  if (mark->empty()) return type_error("empty separator");
  const Text& text = self.text();
  const size_t hit = backward ? find_last(text.view(), mark->view()) : find_first(text.view(), mark->view());
  std::vector<Value> parts;
  if (hit == std::string_view::npos) {
    parts = {self, Value::literal(""), Value::literal("")};
    if (backward) std::swap(parts[0], parts[2]);
  } else {
    parts = {Value(text.slice(0, hit)), *b[0], Value(text.slice(hit + mark->size(), text.size()))};
  }
  return make_list(Kind::tuple, std::move(parts), "tuple");
}

// The part [start, end) in code points as byte offsets.
Result<std::pair<size_t, size_t>> window(const Text& text, const Value* start, const Value* end) {
  const auto size = static_cast<int64_t>(count_code_points(text.view()));
  auto place = [&](const Value* v, int64_t otherwise) -> Result<int64_t> {
    if (!or_null(v)) return otherwise;
    MIAO_TRY(int64_t i, want_integer(*v, "position"));
    if (i < 0) i = i < -size ? 0 : i + size;
    return i;
  };
  MIAO_TRY(const int64_t from, place(start, 0));
  MIAO_TRY(const int64_t to, place(end, size));
  if (from > size || from > std::min(to, size)) return std::pair<size_t, size_t>(1, 0);  // nothing, not even ""
  return std::pair(offset_of(text.view(), static_cast<size_t>(from)),
                   offset_of(text.view(), static_cast<size_t>(std::min(to, size))));
}

// Byte offset of the needle, or npos.
template <bool backward>
Result<size_t> locate(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  MIAO_TRY(const Text* needle, want_text(*b[0], "substring"));
  using Range = std::pair<size_t, size_t>;
  MIAO_TRY(const Range range, window(self.text(), b[1], b[2]));
  if (range.first > range.second) return std::string_view::npos;
  const std::string_view part = self.text().view().substr(range.first, range.second - range.first);
  const size_t hit = backward ? find_last(part, needle->view()) : find_first(part, needle->view());
  return hit == std::string_view::npos ? hit : range.first + hit;
}

template <bool backward, bool must>
Result<Value> do_find(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const size_t hit, locate<backward>(m, self, b));
  if (hit == std::string_view::npos)
    return must ? Result<Value>(type_error("substring not found")) : Value(int64_t{-1});
  return Value(static_cast<int64_t>(count_code_points(self.text().view().substr(0, hit))));
}

Result<Value> do_count(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  MIAO_TRY(const Text* needle, want_text(*b[0], "substring"));
  using Range = std::pair<size_t, size_t>;
  MIAO_TRY(const Range range, window(self.text(), b[1], b[2]));
  if (range.first > range.second) return Value(int64_t{0});
  const std::string_view part = self.text().view().substr(range.first, range.second - range.first);
  if (needle->empty()) return Value(static_cast<int64_t>(count_code_points(part)) + 1);
  int64_t count = 0;
  for (size_t at = find_first(part, needle->view()); at != std::string_view::npos;
       at = find_first(part, needle->view(), at + needle->size())) {
    ++count;
  }
  return Value(count);
}

template <bool at_end>
Result<Value> do_affix(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  using Range = std::pair<size_t, size_t>;
  MIAO_TRY(const Range range, window(self.text(), b[1], b[2]));
  std::vector<Value> candidates = {*b[0]};
  if (b[0]->is(Kind::tuple)) candidates = b[0]->items();
  for (const Value& candidate : candidates) {
    MIAO_TRY(const Text* affix, want_text(candidate, "prefix or suffix"));
    if (range.first > range.second) continue;
    const std::string_view part = self.text().view().substr(range.first, range.second - range.first);
    MIAO_CHECK_OK(m.budget.text(affix->size()));
    if (at_end ? part.ends_with(affix->view()) : part.starts_with(affix->view())) return Value(true);
  }
  return Value(false);
}

template <bool at_end>
Result<Value> do_remove_affix(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay(m, self));
  MIAO_TRY(const Text* affix, want_text(*b[0], "prefix or suffix"));
  const Text& text = self.text();
  if (at_end ? !text.view().ends_with(affix->view()) : !text.view().starts_with(affix->view())) return self;
  return Value(at_end ? text.slice(0, text.size() - affix->size()) : text.slice(affix->size(), text.size()));
}

Result<Value> do_replace(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const Text* from, want_text(*b[0], "old"));
  MIAO_TRY(const Text* to, want_text(*b[1], "new"));
  MIAO_TRY(const int64_t count, integer_or(b[2], -1, "count"));
  MIAO_TRY(Text out, replaced(m.budget, self.text(), *from, *to, count));
  return Value(std::move(out));
}

Result<Value> do_join(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, *b[0]));
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    MIAO_TRY(const Text* item, want_text(items[i], "sequence item " + std::to_string(i)));
    if (i > 0) out.append(self.text());
    MIAO_CHECK_OK(m.budget.text(item->size() + self.text().size()));
    out.append(*item);
    MIAO_CHECK_OK(m.budget.fits(out.size()));
  }
  return Value(std::move(out));
}

template <Side side>
Result<Value> do_pad(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const int64_t width, want_integer(*b[0], "width"));
  Text fill(" ", true);
  if (b[1]) {
    MIAO_TRY(const Text* given, want_text(*b[1], "fill character"));
    fill = *given;
  }
  return padded(m.budget, self.text(), width, fill, side);
}

Result<Value> do_zfill(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const int64_t width, want_integer(*b[0], "width"));
  const Text& text = self.text();
  const size_t sign = !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+') ? 1 : 0;
  const Text digits = text.slice(sign, text.size());
  MIAO_TRY(const Value body,
           padded(m.budget, digits, width - static_cast<int64_t>(sign), Text("0", true), Side::right));
  Text out = text.slice(0, sign);
  out.append(body.text());
  return Value(std::move(out));
}

template <bool (*property)(char32_t)>
Result<Value> all_are(Machine& m, const Value& self, const Bound&) {
  MIAO_CHECK_OK(pay(m, self));
  const std::string_view text = self.text().view();
  for (size_t at = 0; at < text.size();) {
    if (!property(next_code_point(text, at))) return Value(false);
  }
  return Value(!text.empty());
}
bool is_alnum(char32_t c) { return is_letter(c) || is_numeric(c); }
bool is_ascii(char32_t c) { return c < 0x80; }
bool is_digit(char32_t c) {
  return is_decimal(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0x2070 && c <= 0x2089);
}

Result<Value> do_isascii(Machine& m, const Value& self, const Bound& b) {
  return self.text().empty() ? Result<Value>(Value(true)) : all_are<is_ascii>(m, self, b);
}

template <bool upper>
Result<Value> do_iscase(Machine& m, const Value& self, const Bound&) {
  return call_builtin(m, *find_predicate(upper ? "upper" : "lower"), self, {});
}

Result<Value> do_format(Machine& m, const Value& self, const Bound& b) { return format_braces(m, self.text(), b.all); }

constexpr Builtin kRows[] = {
    {"strip", "chars", 0, do_strip<true, true>},
    {"lstrip", "chars", 0, do_strip<true, false>},
    {"rstrip", "chars", 0, do_strip<false, true>},
    {"split", "sep maxsplit", 0, do_split<false>},
    {"rsplit", "sep maxsplit", 0, do_split<true>},
    {"startswith", "prefix start end", 1, do_affix<false>},
    {"endswith", "suffix start end", 1, do_affix<true>},
    {"replace", "old new count", 2, do_replace},
    {"format", "*", 0, do_format},
    {"join", "iterable", 1, do_join},
    {"upper", "", 0, mapped<upper>},
    {"lower", "", 0, mapped<lower>},
    {"casefold", "", 0, mapped<lower>},
    {"title", "", 0, do_title},
    {"capitalize", "", 0, mapped<capitalized>},
    {"swapcase", "", 0, mapped<swapped>},
    {"find", "sub start end", 1, do_find<false, false>},
    {"rfind", "sub start end", 1, do_find<true, false>},
    {"index", "sub start end", 1, do_find<false, true>},
    {"rindex", "sub start end", 1, do_find<true, true>},
    {"count", "sub start end", 1, do_count},
    {"splitlines", "keepends", 0, do_splitlines},
    {"partition", "sep", 1, do_partition<false>},
    {"rpartition", "sep", 1, do_partition<true>},
    {"removeprefix", "prefix", 1, do_remove_affix<false>},
    {"removesuffix", "suffix", 1, do_remove_affix<true>},
    {"ljust", "width fillchar", 1, do_pad<Side::left>},
    {"rjust", "width fillchar", 1, do_pad<Side::right>},
    {"center", "width fillchar", 1, do_pad<Side::center>},
    {"zfill", "width", 1, do_zfill},
    {"isdigit", "", 0, all_are<is_digit>},
    {"isalpha", "", 0, all_are<is_letter>},
    {"isalnum", "", 0, all_are<is_alnum>},
    {"isnumeric", "", 0, all_are<is_numeric>},
    {"isdecimal", "", 0, all_are<is_decimal>},
    {"isspace", "", 0, all_are<is_space>},
    {"isascii", "", 0, do_isascii},
    {"isupper", "", 0, do_iscase<true>},
    {"islower", "", 0, do_iscase<false>},
};

}  // namespace

std::span<const Builtin> text_methods() { return kRows; }

}  // namespace miao::prep::jinja
