// Filters that make text from text. Case mappings and slices keep provenance run by run.
#include <algorithm>

#include "prep/jinja/filters.h"
#include "prep/jinja/format.h"
#include "prep/jinja/markup.h"
#include "prep/jinja/print.h"
#include "prep/jinja/text_ops.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

// The input of a text filter: str(value), paid for.
Result<Text> input_text(Machine& m, const Value& self) {
  MIAO_TRY(Text text, to_text(m.budget, self));
  MIAO_CHECK_OK(m.budget.text(text.size()));
  return text;
}

template <Text (*map)(const Text&)>
Result<Value> mapped(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(const Text text, input_text(m, self));
  return Value(map(text));
}

Result<Value> do_trim(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const Text text, input_text(m, self));
  return strip(text, b[0] && !b[0]->is(Kind::none) ? b[0] : nullptr, true, true);
}

Result<Value> do_string(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(Text text, input_text(m, self));
  return Value(std::move(text));
}

Result<Value> do_safe(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(Text text, input_text(m, self));
  text.markup = true;
  return Value(std::move(text));
}

Result<Value> do_escape(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(Text text, input_text(m, self));
  return Value(text.markup ? std::move(text) : escaped(text));
}

Result<Value> do_replace(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const Text text, input_text(m, self));
  MIAO_TRY(const Text from, to_text(m.budget, *b[0]));
  MIAO_TRY(const Text to, to_text(m.budget, *b[1]));
  int64_t count = -1;
  if (b[2] && !b[2]->is(Kind::none)) {
    MIAO_TRY(count, want_integer(*b[2], "count"));
  }
  MIAO_TRY(Text out, replaced(m.budget, text, from, to, count));
  out.markup = false;
  return Value(std::move(out));
}

// Words start after blanks, hyphens and opening brackets.
Result<Value> do_title(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(const Text text, input_text(m, self));
  Text out;
  bool start = true;
  text.each_run(0, text.size(), [&](std::string_view bytes, bool trusted) {
    std::string piece;
    for (size_t at = 0; at < bytes.size();) {
      const char32_t c = next_code_point(bytes, at);
      if (start)
        append_upper(piece, c);
      else
        append_lower(piece, c);
      start = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    }
    out.append(piece, trusted);
  });
  return Value(std::move(out));
}

Result<Value> do_center(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const Text text, input_text(m, self));
  MIAO_TRY(const int64_t width, integer_or(b[0], 80, "width"));
  return padded(m.budget, text, width, Text(" ", true), Side::center);
}

Result<Value> do_indent(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const Text* text, want_text(self, "indent input"));
  Text indent;
  if (b[0] && b[0]->is(Kind::string)) {
    indent = b[0]->text();
  } else {
    MIAO_TRY(const int64_t width, integer_or(b[0], 4, "width"));
    MIAO_CHECK_OK(m.budget.text(static_cast<size_t>(std::max<int64_t>(width, 0))));
    indent = Text(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '), true);
  }
  const bool first = flag_or(b[1], false), blank = flag_or(b[2], false);
  MIAO_CHECK_OK(m.budget.text(text->size()));
  Text all = *text;
  all.append("\n", true);
  Text out;
  bool at_start = true;
  for (const auto& [begin, end] : line_ranges(all, false)) {
    if (!at_start) out.append("\n", true);
    if (at_start ? first : (blank || begin < end)) {
      MIAO_CHECK_OK(m.budget.text(indent.size()));
      out.append(indent);
    }
    out.append(all, begin, end);
    MIAO_CHECK_OK(m.budget.fits(out.size()));
    at_start = false;
  }
  out.markup = text->markup;
  return Value(std::move(out));
}

Result<Value> do_truncate(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const int64_t limit, integer_or(b[0], 255, "length"));
  const bool kill_words = flag_or(b[1], false);
  Text end("...", true);
  if (b[2]) {
    MIAO_TRY(const Text* given, want_text(*b[2], "end"));
    end = *given;
  }
  int64_t leeway = 5;
  if (b[3] && !b[3]->is(Kind::none)) {
    MIAO_TRY(leeway, want_integer(*b[3], "leeway"));
  }
  const auto end_size = static_cast<int64_t>(count_code_points(end.view()));
  if (limit < end_size || leeway < 0) return type_error("truncate: length must not be less than the end mark");
  if (self.is(Kind::string)) MIAO_CHECK_OK(m.budget.text(self.text().size()));
  MIAO_TRY(const int64_t size, length(self));
  if (leeway > size || size - leeway <= limit) return self;  // lists too, when short enough
  MIAO_TRY(const Text* text, want_text(self, "truncate input"));
  Text out = text->slice(0, offset_of(text->view(), static_cast<size_t>(limit - end_size)));
  if (!kill_words) {
    const size_t space = out.view().rfind(' ');
    if (space != std::string_view::npos) out = out.slice(0, space);
  }
  out.append(end);
  return Value(std::move(out));
}

Result<Value> do_wordcount(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(const Text text, input_text(m, self));
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const bool word = is_word(next_code_point(text.view(), at));
    words += word && !inside;
    inside = word;
  }
  return Value(words);
}

void quote_url(std::string& out, std::string_view bytes, bool query) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";
  const char* hex = "0123456789ABCDEF";
  for (const char c : bytes) {
    if (kPlain.find(c) != std::string_view::npos || (c == '/' && !query)) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      out += '%';
      out += hex[static_cast<unsigned char>(c) >> 4];
      out += hex[static_cast<unsigned char>(c) & 15];
    }
  }
}

Result<void> quote_value(Machine& m, Text& out, const Value& v, bool query) {
  MIAO_TRY(const Text text, to_text(m.budget, v));
  MIAO_CHECK_OK(m.budget.text(3 * text.size()));
  std::string piece;
  quote_url(piece, text.view(), query);
  out.append(piece, text.trusted());
  return m.budget.fits(out.size());
}

Result<Value> do_urlencode(Machine& m, const Value& self, const Bound&) {
  Text out;
  if (self.is(Kind::string) || !Cursor::open(self).ok()) {
    MIAO_CHECK_OK(quote_value(m, out, self, false));
    return Value(std::move(out));
  }
  auto put = [&](const Value& key, const Value& value) -> Result<void> {
    if (!out.empty()) out.append("&", true);
    MIAO_CHECK_OK(quote_value(m, out, key, true));
    out.append("=", true);
    return quote_value(m, out, value, true);
  };
  if (self.is(Kind::dict)) {
    for (const auto& [key, value] : self.dict().entries) MIAO_CHECK_OK(put(key, value));
    return Value(std::move(out));
  }
  MIAO_TRY(const std::vector<Value> pairs, to_vector(m.budget, self));
  for (const Value& pair : pairs) {
    MIAO_TRY(const std::vector<Value> two, to_vector(m.budget, pair));
    if (two.size() != 2) return type_error("urlencode needs pairs");
    MIAO_CHECK_OK(put(two[0], two[1]));
  }
  return Value(std::move(out));
}

Result<Value> do_format(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const Text text, input_text(m, self));
  if (!b.all.positional.empty() && !b.all.named.empty()) return type_error("format takes positions or names, not both");
  if (b.all.named.empty()) {
    MIAO_TRY(const Value tuple, make_list(Kind::tuple, b.all.positional, "tuple"));
    return format_percent(m.budget, text, tuple);
  }
  auto dict = std::make_shared<DictObject>();
  for (const auto& [name, value] : b.all.named) dict->set(Value::literal(name), value);
  MIAO_TRY(const Value named, make_dict(std::move(dict)));
  return format_percent(m.budget, text, named);
}

Result<Value> do_tojson(Machine& m, const Value& self, const Bound& b) {
  JsonStyle style;
  style.ensure_ascii = flag_or(b[0], false);
  style.sort_keys = flag_or(b[3], false);
  if (b[1] && !b[1]->is(Kind::none)) {
    style.multiline = true;
    style.item_separator = ",";
    if (b[1]->is(Kind::string)) {
      style.indent = b[1]->text().bytes();
    } else {
      MIAO_TRY(const int64_t width, want_integer(*b[1], "indent"));
      if (width > 64) return type_error("tojson: indent is larger than 64");
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
  }
  if (b[2] && !b[2]->is(Kind::none)) {
    MIAO_TRY(const std::vector<Value> pair, to_vector(m.budget, *b[2]));
    if (pair.size() != 2 || !pair[0].is(Kind::string) || !pair[1].is(Kind::string)) {
      return type_error("tojson: separators must be two strings");
    }
    style.item_separator = pair[0].text().bytes();
    style.key_separator = pair[1].text().bytes();
  }
  MIAO_TRY(Text text, to_json(m.budget, self, style));
  return Value(std::move(text));
}

constexpr Builtin kRows[] = {
    {"trim", "chars", 0, do_trim},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, do_tojson},
    {"string", "", 0, do_string},
    {"upper", "", 0, mapped<upper>},
    {"lower", "", 0, mapped<lower>},
    {"capitalize", "", 0, mapped<capitalized>},
    {"title", "", 0, do_title},
    {"replace", "old new count", 2, do_replace},
    {"indent", "width first blank", 0, do_indent},
    {"safe", "", 0, do_safe},
    {"e", "", 0, do_escape},
    {"escape", "", 0, do_escape},
    {"forceescape", "", 0, mapped<escaped>},
    {"center", "width", 0, do_center},
    {"truncate", "length killwords end leeway", 0, do_truncate},
    {"wordcount", "", 0, do_wordcount},
    {"urlencode", "", 0, do_urlencode},
    {"format", "*", 0, do_format},
};

}  // namespace

std::span<const Builtin> text_filters() { return kRows; }

}  // namespace miao::prep::jinja
