// str.format: literal text, {field:spec} and {{ }}. Fields reach attributes and items by the same rules as templates
// do.
#include <algorithm>
#include <cctype>

#include "prep/jinja/access.h"
#include "prep/jinja/format.h"
#include "prep/jinja/format_spec.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

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
    if (at >= text.size() || !std::isdigit(static_cast<unsigned char>(text[at])))
      return bad_format("precision missing");
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
    if (!found) return bad_format("argument '" + clipped(first) + "' is missing");
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
