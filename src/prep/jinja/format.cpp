// Pieces of the format text keep their own trust and inserted values keep theirs; padding takes the trust of the format.
#include "prep/jinja/format.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "prep/jinja/access.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

constexpr int64_t kMaxPrecision = 100;  // digits of a number; width is bounded by the text budget

// One field: "%-08.3f" or the part after ':' in "{:<8.3f}".
struct Spec {
  std::string fill = " ";
  char align = 0;  // '<' '>' '^' '=' or 0
  char sign = '-';
  bool alternate = false;
  bool grouped = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

Error bad_format(std::string message) { return type_error("format: " + std::move(message)); }

// Reads decimal digits at `at`.
Result<int64_t> read_number(std::string_view text, size_t& at) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), number);
  if (error != std::errc()) return bad_format("width or precision is too large");
  at = static_cast<size_t>(end - text.data());
  return number;
}

std::string grouped(std::string digits) {
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

// The digits of a number without its sign.
Result<std::string> magnitude(const Value& v, const Spec& spec) {
  char buffer[512];
  const char type = spec.type;
  if (v.is_whole() && (type == 'd' || type == 'x' || type == 'X' || type == 'o' || type == 'b')) {
    const int64_t i = v.integer();
    const uint64_t u = i < 0 ? ~static_cast<uint64_t>(i) + 1 : static_cast<uint64_t>(i);
    const int base = type == 'd' ? 10 : type == 'o' ? 8 : type == 'b' ? 2 : 16;
    std::string digits(buffer, std::to_chars(buffer, buffer + sizeof buffer, u, base).ptr);
    if (type == 'X') {
      for (char& c : digits) c = static_cast<char>(std::toupper(c));
    }
    if (spec.grouped) digits = grouped(std::move(digits));
    if (spec.alternate && type != 'd') digits = std::string("0") + type + digits;
    if (static_cast<int64_t>(digits.size()) < spec.precision) {
      digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
    }
    return digits;
  }
  double d = std::fabs(v.real());
  if (std::isnan(d)) return std::string("nan");
  if (std::isinf(d)) return std::string("inf");
  if (type == 0 && spec.precision < 0) return real_text(d);
  if (type == '%') d *= 100;
  const char kind = type == '%' ? 'f' : type == 0 ? 'g' : type;
  const std::string pattern = std::string(spec.alternate ? "%#.*" : "%.*") + kind;
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  std::snprintf(buffer, sizeof buffer, pattern.c_str(), precision, d);
  std::string digits = buffer;
  if (spec.grouped) {
    const size_t dot = std::min(digits.find('.'), digits.size());
    digits = grouped(digits.substr(0, dot)) + digits.substr(dot);
  }
  return type == '%' ? digits + "%" : digits;
}

Result<void> put_padded(Budget& budget, Text& out, const Text& body, const Spec& spec, char align, size_t sign_bytes,
                        bool trusted) {
  const size_t width = static_cast<size_t>(spec.width), size = count_code_points(body.view());
  MIAO_CHECK_OK(budget.text(body.size()));
  if (width <= size) {
    out.append(body);
    return budget.fits(out.size());
  }
  const size_t pad = width - size;
  MIAO_CHECK_OK(budget.text(pad));
  MIAO_CHECK_OK(budget.fits(out.size() + body.size() + pad * spec.fill.size()));
  const size_t before = align == '<' ? 0 : align == '^' ? pad / 2 : pad;
  auto fill = [&](size_t count) {
    std::string padding;
    for (size_t i = 0; i < count; ++i) padding += spec.fill;
    out.append(padding, trusted);
  };
  if (align == '=') {
    out.append(body, 0, sign_bytes);
    fill(pad);
    out.append(body, sign_bytes, body.size());
    return {};
  }
  fill(before);
  out.append(body);
  fill(pad - before);
  return {};
}

Result<void> put_number(Budget& budget, Text& out, const Value& v, const Spec& spec, bool trusted) {
  if (spec.precision > kMaxPrecision) return bad_format("precision is too large");
  MIAO_TRY(const std::string digits, magnitude(v, spec));
  const bool negative = v.is_whole() ? v.integer() < 0 : std::signbit(v.real()) && !std::isnan(v.real());
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  const size_t lead = sign.size() + (spec.alternate && spec.type != 'd' && v.is_whole() ? 2 : 0);
  return put_padded(budget, out, Text(sign + digits, true), spec, spec.align ? spec.align : '>', lead, trusted);
}

Result<void> put_string(Budget& budget, Text& out, const Text& text, const Spec& spec, char align, bool trusted) {
  if (spec.precision < 0) return put_padded(budget, out, text, spec, align, 0, trusted);
  const Text cut = text.slice(0, offset_of(text.view(), static_cast<size_t>(spec.precision)));
  return put_padded(budget, out, cut, spec, align, 0, trusted);
}

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
    if (by_name || argument.is(Kind::dict)) return true;
    return argument.is(Kind::tuple) ? used == argument.items().size() : used > 0 || argument.is(Kind::list);
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
    default: return bad_format("unsupported format character");
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
      if (!found) return bad_format("key '" + std::string(f.substr(at + 1, std::min<size_t>(close - at - 1, 60))) + "' is missing");
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
      if (spec.width < 0) spec.align = '<', spec.width = spec.width < -kMaxDepth * 1000000LL ? 0 : -spec.width;
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

namespace {

Result<Spec> parse_spec(std::string_view text) {
  Spec spec;
  size_t at = 0;
  auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  const size_t first = text.empty() ? 0 : std::min(text.size(), sequence_length(text[0]));
  if (first < text.size() && is_align(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
    at = 1;
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) spec.sign = text[at++];
  if (at < text.size() && text[at] == '#') spec.alternate = true, ++at;
  if (at < text.size() && text[at] == '0') {
    if (spec.align == 0) spec.align = '=', spec.fill = "0";
    ++at;
  }
  if (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]))) {
    MIAO_TRY(spec.width, read_number(text, at));
  }
  if (at < text.size() && text[at] == ',') spec.grouped = true, ++at;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (at >= text.size() || !std::isdigit(static_cast<unsigned char>(text[at]))) return bad_format("precision missing");
    MIAO_TRY(spec.precision, read_number(text, at));
  }
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) return bad_format("invalid format specifier");
  return spec;
}

Result<void> put_spec(Budget& budget, Text& out, const Value& v, std::string_view spec_text, bool trusted) {
  if (spec_text.empty()) return print(budget, out, v);
  MIAO_TRY(Spec spec, parse_spec(spec_text));
  if (v.is(Kind::string)) {
    if (spec.type != 0 && spec.type != 's') return bad_format("unknown format code for a string");
    if (spec.align == '=') {
      if (spec.fill != "0") return bad_format("'=' alignment needs a number");
      spec.align = '<';
    }
    return put_string(budget, out, v.text(), spec, spec.align ? spec.align : '<', trusted);
  }
  if (v.is_number() && spec.type != 's') {
    if (v.is_whole() && (spec.type == 0 || spec.type == 'n')) spec.type = 'd';
    if (spec.type == 'n') spec.type = 'g';
    constexpr std::string_view kWhole = "dxXob", kReal = "eEfFgG%";
    if (spec.type != 0 && kReal.find(spec.type) == std::string_view::npos &&
        (!v.is_whole() || kWhole.find(spec.type) == std::string_view::npos)) {
      return bad_format("unknown format code for a number");
    }
    if (kWhole.find(spec.type) != std::string_view::npos && spec.precision >= 0 && spec.type != 0) {
      return bad_format("precision is not allowed for integers");
    }
    return put_number(budget, out, v, spec, trusted);
  }
  return bad_format("unsupported format specifier for " + type_name(v));
}

// The value of a field name such as "0.role" or "message[content]".
Result<Value> field_value(Machine& machine, std::string_view name, const Arguments& arguments, size_t& automatic) {
  const size_t stop = std::min(name.find_first_of(".["), name.size());
  const std::string_view first = name.substr(0, stop);
  Value value;
  const bool digits = first.find_first_not_of("0123456789") == std::string_view::npos;
  if (digits) {
    size_t index = automatic;
    if (first.empty()) {
      ++automatic;
    } else {
      size_t at = 0;
      MIAO_TRY(const int64_t number, read_number(first, at));
      index = static_cast<size_t>(number);
    }
    if (index >= arguments.positional.size()) return bad_format("not enough arguments for the fields");
    value = arguments.positional[index];
  } else {
    const Value* found = nullptr;
    for (const auto& [key, v] : arguments.named) {
      if (key == first) found = &v;
    }
    if (!found) return bad_format("argument '" + std::string(first.substr(0, 60)) + "' is missing");
    value = *found;
  }
  for (size_t at = stop; at < name.size();) {
    if (name[at] == '.') {
      const size_t end = std::min(name.find_first_of(".[", at + 1), name.size());
      MIAO_TRY(value, get_attribute(value, name.substr(at + 1, end - at - 1)));
      at = end;
    } else if (name[at] == '[') {
      const size_t close = name.find(']', at);
      if (close == std::string_view::npos) return bad_format("'[' without ']'");
      MIAO_TRY(value, get_path(machine, value, Value::literal(std::string(name.substr(at + 1, close - at - 1)))));
      at = close + 1;
    } else {
      return bad_format("only '.' or '[' may follow ']'");
    }
  }
  return value;
}

}  // namespace

Result<Value> format_braces(Machine& machine, const Text& format, const Arguments& arguments) {
  Text out;
  const std::string_view f = format.view();
  size_t automatic = 0;
  for (size_t at = 0; at < f.size();) {
    const size_t brace = std::min(f.find_first_of("{}", at), f.size());
    MIAO_CHECK_OK(machine.budget.text(brace - at));
    out.append(format, at, brace);
    MIAO_CHECK_OK(machine.budget.fits(out.size()));
    if (brace == f.size()) break;
    at = brace + 1;
    if (at < f.size() && f[at] == f[brace]) {  // {{ or }}
      out.append(format, at, at + 1);
      ++at;
      continue;
    }
    if (f[brace] == '}') return bad_format("single '}' in format string");
    const size_t close = f.find('}', at);
    if (close == std::string_view::npos) return bad_format("'{' without '}'");
    std::string_view field = f.substr(at, close - at);
    if (field.find('{') != std::string_view::npos) return bad_format("nested fields are not supported");
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view spec = colon < field.size() ? field.substr(colon + 1) : "";
    field = field.substr(0, colon);
    char conversion = 0;
    if (field.size() >= 2 && field[field.size() - 2] == '!') {
      conversion = field.back();
      field.remove_suffix(2);
    }
    MIAO_TRY(Value value, field_value(machine, field, arguments, automatic));
    if (conversion != 0) {
      if (conversion != 's' && conversion != 'r' && conversion != 'a') return bad_format("unknown conversion");
      MIAO_TRY(Text text, conversion == 's' ? to_text(machine.budget, value) : repr(machine.budget, value));
      value = Value(std::move(text));
    }
    MIAO_CHECK_OK(put_spec(machine.budget, out, value, spec, format.slice(brace, brace + 1).trusted()));
    at = close + 1;
  }
  return Value(std::move(out));
}

}  // namespace miao::prep::jinja
