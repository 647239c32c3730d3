// Numbers are written with std::to_chars, which no locale changes.
#include "prep/jinja/format_spec.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

constexpr int64_t kMaxPrecision = 100;  // digits of a number; width is bounded by the text budget

std::string grouped(std::string digits) {
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
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
      for (char& c : digits) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
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
  const char kind = static_cast<char>(type | 0x20);
  const auto style = type == '%' || kind == 'f' ? std::chars_format::fixed
                     : kind == 'e'              ? std::chars_format::scientific
                                                : std::chars_format::general;
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  std::string digits(buffer, std::to_chars(buffer, buffer + sizeof buffer, d, style, precision).ptr);
  if (type >= 'A' && type <= 'Z') {
    for (char& c : digits) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
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

}  // namespace

Error bad_format(std::string message) { return type_error("format: " + std::move(message)); }

Result<int64_t> read_number(std::string_view text, size_t& at) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), number);
  if (error != std::errc()) return bad_format("width or precision is too large");
  at = static_cast<size_t>(end - text.data());
  return number;
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

}  // namespace miao::prep::jinja
