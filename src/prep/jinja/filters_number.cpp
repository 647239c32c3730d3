// abs, int, float, round.
#include <charconv>
#include <cmath>
#include <limits>

#include "prep/jinja/filters.h"
#include "prep/jinja/text_ops.h"

namespace miao::prep::jinja {

namespace {

Result<Value> do_abs(Machine&, const Value& self, const Bound&) {
  if (self.is(Kind::real)) return Value(std::fabs(self.real()));
  MIAO_TRY(const int64_t i, want_integer(self, "abs input"));
  if (i == std::numeric_limits<int64_t>::min()) return type_error("integer result does not fit 64 bits");
  return Value(i < 0 ? -i : i);
}

// Digits with optional sign, blanks around and single underscores between; nullopt for anything else.
Result<std::optional<int64_t>> parse_integer(std::string_view text, int base) {
  std::string digits;
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (base != 10 && text.size() > 2 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    if ((mark == 'x' && base == 16) || (mark == 'o' && base == 8) || (mark == 'b' && base == 2)) text.remove_prefix(2);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && i > 0 && i + 1 < text.size() && text[i + 1] != '_') continue;
    digits += text[i];
  }
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') return std::optional<int64_t>();
  if (negative) digits.insert(0, 1, '-');
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (end != digits.data() + digits.size()) return std::optional<int64_t>();
  if (error == std::errc::result_out_of_range) return type_error("integer does not fit 64 bits");
  if (error != std::errc()) return std::optional<int64_t>();
  return std::optional(value);
}

std::optional<double> parse_real(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  std::string clean;
  for (const char c : text) {
    if (c != '_') clean += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(clean.data(), clean.data() + clean.size(), value);
  if (end != clean.data() + clean.size() || clean.empty() || clean.find('(') != std::string::npos) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::nullopt;
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

Result<std::string> stripped(Machine& m, const Text& text) {
  MIAO_CHECK_OK(m.budget.text(text.size()));
  MIAO_TRY(const Value v, strip(text, nullptr, true, true));
  return v.text().bytes();
}

Result<Value> do_int(Machine& m, const Value& self, const Bound& b) {
  const Value otherwise = b[0] ? *b[0] : Value(int64_t{0});
  MIAO_TRY(const int64_t base, integer_or(b[1], 10, "base"));
  if (base < 2 || base > 36) return type_error("int: base must be 2 to 36");
  if (self.is_whole()) return Value(self.integer());
  double real = 0;
  if (self.is(Kind::string)) {
    MIAO_TRY(const std::string text, stripped(m, self.text()));
    MIAO_TRY(const std::optional<int64_t> whole, parse_integer(text, static_cast<int>(base)));
    if (whole) return Value(*whole);
    const std::optional<double> parsed = parse_real(text);
    if (!parsed) return otherwise;
    real = *parsed;
  } else if (self.is(Kind::real)) {
    real = self.real();
  } else if (self.is(Kind::undefined)) {
    return type_error(std::string(self.why()));
  } else {
    return otherwise;
  }
  if (std::isnan(real) || std::isinf(real)) return otherwise;
  if (std::fabs(real) >= 9.2e18) return type_error("integer does not fit 64 bits");
  return Value(static_cast<int64_t>(real));
}

Result<Value> do_float(Machine& m, const Value& self, const Bound& b) {
  if (self.is_number()) return Value(self.real());
  if (self.is(Kind::undefined)) return type_error(std::string(self.why()));
  if (self.is(Kind::string)) {
    MIAO_TRY(const std::string text, stripped(m, self.text()));
    if (const auto parsed = parse_real(text)) return Value(*parsed);
  }
  return b[0] ? *b[0] : Value(0.0);
}

// Nearest with `digits` decimals, ties to even on the decimal value as Python's round does.
double rounded(double x, int64_t digits) {
  char buffer[400];
  const int places = static_cast<int>(digits);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::fixed, places).ptr;
  double result = x;
  std::from_chars(buffer, end, result);
  return result;
}

Result<Value> do_round(Machine&, const Value& self, const Bound& b) {
  if (!self.is_number()) return bad_operand("round needs a number", self);
  MIAO_TRY(const int64_t digits, integer_or(b[0], 0, "precision"));
  std::string_view method = "common";
  if (b[1]) {
    MIAO_TRY(const Text* given, want_text(*b[1], "method"));
    method = given->view();
  }
  if (method != "common" && method != "ceil" && method != "floor") {
    return type_error("round: method must be common, ceil or floor");
  }
  if (digits < -15 || digits > 15) return type_error("round: precision must be -15 to 15");
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double x = self.real();
  if (method == "ceil") return Value(std::ceil(x * scale) / scale);
  if (method == "floor") return Value(std::floor(x * scale) / scale);
  if (self.is_whole()) {
    if (digits >= 0) return Value(self.integer());
    return Value(static_cast<int64_t>(std::nearbyint(x * scale) / scale));
  }
  if (std::isnan(x) || std::isinf(x)) return self;
  return Value(digits >= 0 ? rounded(x, digits) : std::nearbyint(x * scale) / scale);
}

constexpr Builtin kRows[] = {
    {"abs", "", 0, do_abs},
    {"int", "default base", 0, do_int},
    {"float", "default", 0, do_float},
    {"round", "precision method", 0, do_round},
};

}  // namespace

std::span<const Builtin> number_filters() { return kRows; }

}  // namespace miao::prep::jinja
