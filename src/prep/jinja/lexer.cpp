// A hand-written scanner with the same decisions as Jinja2's regular expressions: tag ends count only while all
// brackets are closed, one newline after a block or comment is dropped, blanks before a block on its own line are
// dropped.
#include "prep/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "prep/jinja/budget.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

// \r\n and \r become \n; one newline at the end is dropped.
std::string normalized(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view place) : source_(normalized(source)), place_(place) {}
  Result<std::vector<Lexeme>> run();

 private:
  Error fail(std::string message) const { return Error{Code::invalid, std::move(message), line_place(place_, line_)}; }
  bool starts(std::string_view what, size_t at) const {
    return std::string_view(source_).substr(std::min(at, source_.size())).starts_with(what);
  }
  void advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }
  size_t skip_space(size_t at) const;
  void push(Token token, std::string text = {}) {
    out_.push_back({.token = token, .line = line_, .text = std::move(text)});
  }

  Result<void> root();
  void push_data(size_t end, char sign, bool variable);
  Result<void> comment(size_t open);
  // True when a raw block starts at `open`; it is then read to its end.
  Result<bool> raw(size_t open, char sign);
  Result<void> inside(bool variable);
  bool tag_end(bool variable);
  Result<void> number();
  Result<void> string();
  Result<void> escape(std::string& out, size_t& at, size_t end);
  Result<void> name();
  Result<void> op();

  std::string source_;
  std::string_view place_;
  size_t at_ = 0;
  int line_ = 1;
  std::string brackets_;  // closing brackets that are due
  std::vector<Lexeme> out_;
};

size_t Lexer::skip_space(size_t at) const {
  while (at < source_.size()) {
    size_t next = at;
    if (!is_space(next_code_point(source_, next))) break;
    at = next;
  }
  return at;
}

// Text up to the tag at `end`, with blanks removed as the tag's sign and lstrip_blocks say.
void Lexer::push_data(size_t end, char sign, bool variable) {
  std::string_view text = std::string_view(source_).substr(at_, end - at_);
  if (sign == '-') {
    while (!text.empty()) {
      const size_t start = previous_start(text, text.size());
      size_t at = start;
      if (!is_space(next_code_point(text, at))) break;
      text = text.substr(0, start);
    }
  } else if (sign != '+' && !variable) {
    const size_t newline = text.rfind('\n');
    const size_t line_start = newline == std::string_view::npos ? 0 : newline + 1;
    const bool at_line_start = line_start > 0 || at_ == 0 || source_[at_ - 1] == '\n';
    if (at_line_start && skip_space(at_ + line_start) >= end) text = text.substr(0, line_start);
  }
  if (!text.empty()) push(Token::data, std::string(text));
  advance(end);
}

Result<void> Lexer::comment(size_t open) {
  const size_t body = open + 2 + (open + 2 < source_.size() && (source_[open + 2] == '-' || source_[open + 2] == '+'));
  const size_t close = source_.find("#}", body);
  if (close == std::string::npos) {
    advance(open);
    return fail("comment is not closed; add #}");
  }
  size_t end = close + 2;
  const char sign = close > body ? source_[close - 1] : 0;
  if (sign == '-')
    end = skip_space(end);
  else if (sign != '+' && starts("\n", end))
    ++end;
  advance(end);
  return {};
}

Result<bool> Lexer::raw(size_t open, char sign) {
  size_t at = skip_space(open + 2 + (sign != 0));
  if (!starts("raw", at)) return false;
  at = skip_space(at + 3);
  if (starts("-%}", at))
    at = skip_space(at + 3);
  else if (starts("%}", at))
    at += 2;
  else
    return false;
  push_data(open, sign, false);
  advance(at);
  for (size_t close = source_.find("{%", at); close != std::string::npos; close = source_.find("{%", close + 2)) {
    const char end_sign = starts("-", close + 2) ? '-' : starts("+", close + 2) ? '+' : '\0';
    size_t end = skip_space(close + 2 + (end_sign != 0));
    if (!starts("endraw", end)) continue;
    end = skip_space(end + 6);
    if (starts("-%}", end))
      end = skip_space(end + 3);
    else if (starts("+%}", end))
      end += 3;
    else if (starts("%}", end))
      end += 2 + starts("\n", end + 2);
    else
      continue;
    push_data(close, end_sign, false);
    advance(end);
    return true;
  }
  return fail("raw block is not closed; add {% endraw %}");
}

Result<void> Lexer::root() {
  size_t open = at_;
  while (true) {
    open = source_.find('{', open);
    if (open == std::string::npos || open + 1 >= source_.size()) {
      if (at_ < source_.size()) push(Token::data, source_.substr(at_));
      advance(source_.size());
      return {};
    }
    if (source_[open + 1] == '{' || source_[open + 1] == '%' || source_[open + 1] == '#') break;
    ++open;
  }
  const char kind = source_[open + 1];
  const char next = open + 2 < source_.size() ? source_[open + 2] : '\0';
  const char sign = next == '-' || next == '+' ? next : '\0';
  if (kind == '%') {
    MIAO_TRY(const bool was_raw, raw(open, sign));
    if (was_raw) return {};
  }
  push_data(open, sign, kind == '{');
  if (kind == '#') return comment(open);
  push(kind == '{' ? Token::variable_begin : Token::block_begin);
  advance(open + 2 + (sign != 0));
  return inside(kind == '{');
}

bool Lexer::tag_end(bool variable) {
  if (!brackets_.empty()) return false;
  const std::string_view close = variable ? "}}" : "%}";
  size_t end = at_;
  if (starts(close, at_)) {
    end = at_ + 2;
    if (!variable && starts("\n", end)) ++end;
  } else if (source_[at_] == '-' && starts(close, at_ + 1)) {
    end = skip_space(at_ + 3);
  } else if (!variable && source_[at_] == '+' && starts(close, at_ + 1)) {
    end = at_ + 3;
  } else {
    return false;
  }
  push(variable ? Token::variable_end : Token::block_end);
  advance(end);
  return true;
}

Result<void> Lexer::inside(bool variable) {
  brackets_.clear();
  while (true) {
    advance(skip_space(at_));
    if (at_ >= source_.size()) return fail(variable ? "{{ is not closed; add }}" : "{% is not closed; add %}");
    if (tag_end(variable)) return {};
    const char c = source_[at_];
    if (is_digit(c))
      MIAO_CHECK_OK(number());
    else if (is_name_start(c))
      MIAO_CHECK_OK(name());
    else if (c == '\'' || c == '"')
      MIAO_CHECK_OK(string());
    else
      MIAO_CHECK_OK(op());
    if (out_.size() > 4 * kMaxNodes) return fail("template has too many tokens");
  }
}

Result<void> Lexer::name() {
  size_t end = at_;
  while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) {
    size_t next = end;
    const char32_t c = next_code_point(source_, next);
    if (c >= 0x80 && !is_word(c)) break;
    end = next;
  }
  if (end == at_) return fail("unexpected character in a tag");
  push(Token::name, source_.substr(at_, end - at_));
  advance(end);
  return {};
}

Result<void> Lexer::number() {
  // Digits may be separated by single underscores.
  auto digits = [&](size_t at, auto&& is_valid) {
    while (at < source_.size() &&
           (is_valid(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() && is_valid(source_[at + 1]))))
      ++at;
    return at;
  };
  auto clean = [&](size_t from, size_t to) {
    std::string text = source_.substr(from, to - from);
    std::erase(text, '_');
    return text;
  };
  const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
  size_t end = digits(at_, is_digit);
  bool real = false;
  if (!after_dot) {
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
      end = digits(end + 1, is_digit);
      real = true;
    }
    size_t exponent = end;
    if (exponent < source_.size() && (source_[exponent] == 'e' || source_[exponent] == 'E')) {
      ++exponent;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) ++exponent;
      if (exponent < source_.size() && is_digit(source_[exponent])) {
        end = digits(exponent, is_digit);
        real = true;
      }
    }
  }
  Lexeme lexeme{.token = real ? Token::real : Token::integer, .line = line_};
  if (real) {
    const std::string text = clean(at_, end);
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), lexeme.real);
    if (error != std::errc()) return fail("number " + clipped(text) + " is out of range");
  } else {
    int base = 10;
    size_t from = at_;
    const char second = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
    if (source_[at_] == '0' && (second == 'x' || second == 'o' || second == 'b')) {
      base = second == 'x' ? 16 : second == 'o' ? 8 : 2;
      from = at_ + 2;
      end = digits(from, [&](char c) {
        const int value = is_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : 99;
        return value < base;
      });
    } else if (source_[at_] == '0' && clean(at_, end).find_first_not_of('0') != std::string::npos) {
      return fail("numbers may not start with 0");
    }
    const std::string text = clean(from, end);
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), lexeme.integer, base);
    if (error != std::errc()) return fail("integer does not fit 64 bits");
  }
  out_.push_back(std::move(lexeme));
  advance(end);
  return {};
}

Result<void> Lexer::escape(std::string& out, size_t& at, size_t end) {
  const char c = source_[at++];
  constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
  if (const size_t i = kFrom.find(c); i != std::string_view::npos) {
    out += kTo[i];
    return {};
  }
  if (c == '\n') return {};
  int base = 16;
  size_t count = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (c >= '0' && c <= '7') {
    base = 8;
    --at;
    count = 1;
    while (count < 3 && at + count < end && source_[at + count] >= '0' && source_[at + count] <= '7') ++count;
  } else if (c == 'N') {
    return fail("\\N{...} escapes are not supported; write the character itself");
  } else if (count == 0) {
    out += '\\';  // as in Python, an unknown escape stands for itself
    --at;
    return {};
  }
  uint32_t code = 0;
  const char* from = source_.data() + at;
  const auto parsed = std::from_chars(from, from + std::min(count, end - at), code, base);
  if (parsed.ptr != from + count || parsed.ec != std::errc()) return fail("bad \\ escape in string");
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return fail("escape is not a Unicode character");
  append_utf8(out, code);
  at += count;
  return {};
}

Result<void> Lexer::string() {
  const char quote = source_[at_];
  size_t end = at_ + 1;
  while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) return fail("string is not closed");
  std::string text;
  for (size_t at = at_ + 1; at < end;) {
    if (source_[at] != '\\') {
      text += source_[at++];
    } else {
      ++at;
      MIAO_CHECK_OK(escape(text, at, end));
    }
  }
  push(Token::string, std::move(text));
  advance(end + 1);
  return {};
}

Result<void> Lexer::op() {
  static constexpr std::array<std::string_view, 26> kOps = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                            "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                            ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
  for (const std::string_view candidate : kOps) {
    if (!starts(candidate, at_)) continue;
    const char c = candidate[0];
    if (c == '(' || c == '[' || c == '{') {
      brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
      if (brackets_.size() > kMaxDepth) return fail("brackets nested deeper than " + std::to_string(kMaxDepth));
    } else if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty()) return fail(std::string("unexpected '") + c + "'");
      if (brackets_.back() != c)
        return fail(std::string("unexpected '") + c + "', expected '" + brackets_.back() + "'");
      brackets_.pop_back();
    }
    push(Token::op, std::string(candidate));
    advance(at_ + candidate.size());
    return {};
  }
  return fail("unexpected character '" + source_.substr(at_, 1) + "' in a tag");
}

Result<std::vector<Lexeme>> Lexer::run() {
  while (at_ < source_.size()) {
    MIAO_CHECK_OK(root());
  }
  push(Token::end);
  return std::move(out_);
}

}  // namespace

std::string Lexeme::shown() const {
  switch (token) {
    case Token::data:
      return "text";
    case Token::block_begin:
      return "'{%'";
    case Token::block_end:
      return "'%}'";
    case Token::variable_begin:
      return "'{{'";
    case Token::variable_end:
      return "'}}'";
    case Token::string:
      return "a string";
    case Token::integer:
    case Token::real:
      return "a number";
    case Token::end:
      return "the end of the template";
    default:
      return "'" + clipped(text) + "'";
  }
}

std::string line_place(std::string_view place, int line) {
  return (place.empty() ? std::string("template") : std::string(place)) + ":" + std::to_string(line);
}

Result<std::vector<Lexeme>> tokenize(std::string_view source, std::string_view place) {
  return Lexer(source, place).run();
}

}  // namespace miao::prep::jinja
