// Pieces of the format text keep their own trust and inserted values keep theirs; padding takes the trust of the field.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "prep/jinja/format.h"
#include "prep/jinja/format_spec.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

constexpr int64_t kWidest = 1 << 30;  // beyond any text budget

// Supplies the values of a "%" format.
struct PercentSource {
  const Value& argument;
  size_t used = 0;
  bool by_name = false;

  Result<Value> next() {
    if (!argument.is(Kind::tuple)) {
      if (used++ == 0) return argument;
    } else if (used < argument.items().size()) {
      return argument.items()[used++];
    }
    return bad_format("not enough arguments for format string");
  }
  bool all_used() const {
    if (argument.is(Kind::tuple)) return used == argument.items().size();
    const bool mapping =
        argument.is(Kind::dict) || argument.is(Kind::list) || argument.is(Kind::range) || argument.is(Kind::undefined);
    return by_name || used > 0 || mapping;
  }
};

Result<int64_t> star_or_number(std::string_view f, size_t& at, PercentSource& source) {
  if (f[at] != '*') return read_number(f, at);
  ++at;
  MIAO_TRY(const Value v, source.next());
  return want_integer(v, "format width");
}

Result<void> put_percent(Budget& budget, Text& out, const Value& v, Spec spec, bool trusted) {
  switch (spec.type) {
    case 's':
    case 'r':
    case 'a': {
      MIAO_TRY(const Text text, spec.type == 's' ? to_text(budget, v) : repr(budget, v));
      spec.fill = " ";
      return put_string(budget, out, text, spec, spec.align == '<' ? '<' : '>', trusted);
    }
    case 'c': {
      if (v.is(Kind::string)) return put_string(budget, out, v.text(), spec, spec.align == '<' ? '<' : '>', trusted);
      MIAO_TRY(const int64_t code, want_integer(v, "%c"));
      if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return bad_format("%c is not a character");
      std::string c;
      append_utf8(c, static_cast<char32_t>(code));
      return put_string(budget, out, Text(c, trusted), spec, spec.align == '<' ? '<' : '>', trusted);
    }
    case 'd':
    case 'i':
    case 'u':
      spec.type = 'd';
      if (v.is(Kind::real) && std::fabs(v.real()) < 9.2e18) {
        return put_number(budget, out, Value(static_cast<int64_t>(v.real())), spec, trusted);
      }
      [[fallthrough]];
    case 'x':
    case 'X':
    case 'o':
      if (!v.is_whole()) return bad_operand(std::string("%") + spec.type + " format needs an integer", v);
      return put_number(budget, out, v, spec, trusted);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
      if (!v.is_number()) return bad_operand(std::string("%") + spec.type + " format needs a number", v);
      return put_number(budget, out, Value(v.real()), spec, trusted);
    default:
      return bad_format("unsupported format character");
  }
}

}  // namespace

Result<Value> format_percent(Budget& budget, const Text& format, const Value& argument) {
  Text out;
  const std::string_view f = format.view();
  PercentSource source{.argument = argument};
  for (size_t at = 0; at < f.size();) {
    size_t percent = f.find('%', at);
    if (percent == std::string_view::npos) percent = f.size();
    MIAO_CHECK_OK(budget.text(percent - at));
    out.append(format, at, percent);
    if (percent == f.size()) break;
    at = percent + 1;
    Spec spec;
    std::optional<Value> value;
    if (at < f.size() && f[at] == '(') {
      const size_t close = f.find(')', at);
      if (close == std::string_view::npos) return bad_format("'(' without ')'");
      if (!argument.is(Kind::dict)) return bad_format("%(name)s needs a mapping");
      const Value* found = argument.dict().find(f.substr(at + 1, close - at - 1));
      if (!found) return bad_format("key '" + clipped(f.substr(at + 1, close - at - 1)) + "' is missing");
      value = *found;
      source.by_name = true;
      at = close + 1;
    }
    for (; at < f.size() && std::string_view("#0- +").find(f[at]) != std::string_view::npos; ++at) {
      if (f[at] == '#') spec.alternate = true;
      if (f[at] == '-') spec.align = '<';
      if (f[at] == '0' && spec.align == 0) spec.align = '=', spec.fill = "0";
      if (f[at] == '+' || (f[at] == ' ' && spec.sign == '-')) spec.sign = f[at];
    }
    if (spec.align == '<') spec.fill = " ";
    if (at < f.size() && (f[at] == '*' || std::isdigit(static_cast<unsigned char>(f[at])))) {
      MIAO_TRY(spec.width, star_or_number(f, at, source));
      if (spec.width < 0) spec.align = '<', spec.width = std::min(kWidest, -std::max(spec.width, -kWidest));
    }
    if (at < f.size() && f[at] == '.') {
      ++at;
      spec.precision = 0;
      if (at < f.size() && (f[at] == '*' || std::isdigit(static_cast<unsigned char>(f[at])))) {
        MIAO_TRY(spec.precision, star_or_number(f, at, source));
        spec.precision = std::max<int64_t>(spec.precision, 0);
      }
    }
    while (at < f.size() && (f[at] == 'l' || f[at] == 'h' || f[at] == 'L')) ++at;
    if (at >= f.size()) return bad_format("incomplete format");
    const bool trusted = format.slice(at, at + 1).trusted();
    spec.type = f[at++];
    if (spec.type == '%') {
      out.append("%", trusted);
      continue;
    }
    if (!value) {
      MIAO_TRY(value, source.next());
    }
    MIAO_CHECK_OK(put_percent(budget, out, *value, spec, trusted));
  }
  if (!source.all_used()) return bad_format("not all arguments converted during string formatting");
  return Value(std::move(out));
}

}  // namespace miao::prep::jinja
