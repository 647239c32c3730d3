// One writer for str, repr: it appends to a string, remembers whether anything untrusted went in, and pays for text as
// it grows, since shared items can make the output exponentially longer than the value.
#include "prep/jinja/print.h"

#include <charconv>
#include <cmath>

#include "prep/jinja/callable.h"
#include "prep/jinja/loop.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

struct Writer {
  Budget& budget;
  std::string out;
  bool trusted = true;
  int depth = 0;

  // Appends a piece and checks the whole length.
  Result<void> put(std::string_view piece) {
    MIAO_CHECK_OK(budget.text(piece.size()));
    out += piece;
    return budget.fits(out.size());
  }
  Result<void> write(const Value& v);
  Result<void> write_all(const std::vector<Value>& items);
};

Result<void> Writer::write_all(const std::vector<Value>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) MIAO_CHECK_OK(put(", "));
    MIAO_CHECK_OK(write(items[i]));
  }
  return {};
}

Result<void> Writer::write(const Value& v) {
  if (depth > kMaxDepth) return type_error("value nested too deeply to print");
  ++depth;
  Result<void> done;
  switch (v.kind()) {
    case Kind::undefined:
      done = put("Undefined");
      break;
    case Kind::string:
      trusted = trusted && v.text().trusted();
      done = put(v.text().markup ? "Markup(" + quoted(v.text().view()) + ")" : quoted(v.text().view()));
      break;
    case Kind::list:
      done = put("[");
      if (done.ok()) done = write_all(v.items());
      if (done.ok()) done = put("]");
      break;
    case Kind::tuple:
      done = put("(");
      if (done.ok()) done = write_all(v.items());
      if (done.ok()) done = put(v.items().size() == 1 ? ",)" : ")");
      break;
    case Kind::view:
      done = put(std::string(v.list().name) + "([");
      if (done.ok()) done = write_all(v.items());
      if (done.ok()) done = put("])");
      break;
    case Kind::dict: {
      done = put("{");
      const auto& entries = v.dict().entries;
      for (size_t i = 0; i < entries.size() && done.ok(); ++i) {
        if (i > 0) done = put(", ");
        if (done.ok()) done = write(entries[i].first);
        if (done.ok()) done = put(": ");
        if (done.ok()) done = write(entries[i].second);
      }
      if (done.ok()) done = put("}");
      break;
    }
    case Kind::ns: {
      done = put("<Namespace {");
      const auto& entries = v.ns().entries;
      for (size_t i = 0; i < entries.size() && done.ok(); ++i) {
        done = put((i > 0 ? ", " : "") + quoted(entries[i].first) + ": ");
        if (done.ok()) done = write(entries[i].second);
      }
      if (done.ok()) done = put("}>");
      break;
    }
    default: {
      MIAO_TRY(const Text plain, to_text(budget, v));
      done = put(plain.view());
    }
  }
  --depth;
  return done;
}

Result<Text> finish(Writer& writer) { return Text(std::move(writer.out), writer.trusted); }

std::string range_text(const RangeObject& r) {
  std::string text = "range(" + std::to_string(r.start) + ", " + std::to_string(r.stop);
  if (r.step != 1) text += ", " + std::to_string(r.step);
  return text + ")";
}

std::string callable_text(const Callable& c) {
  if (c.macro) return "<Macro " + (c.name.empty() ? "anonymous" : quoted(c.name)) + ">";
  return (c.self.is(Kind::undefined) ? "<function " : "<built-in method ") + c.name + ">";
}

}  // namespace

Result<Text> to_text(Budget& budget, const Value& v) {
  switch (v.kind()) {
    case Kind::undefined:
      return Text();
    case Kind::none:
      return Text("None", true);
    case Kind::boolean:
      return Text(v.boolean() ? "True" : "False", true);
    case Kind::integer:
      return Text(std::to_string(v.integer()), true);
    case Kind::real:
      return Text(real_text(v.real()), true);
    case Kind::string:
      return v.text();
    case Kind::generator:
      return Text("<generator object>", true);
    case Kind::range:
      return Text(range_text(v.range()), true);
    case Kind::callable:
      return Text(callable_text(v.callable()), true);
    case Kind::loop: {
      LoopState& loop = v.as<LoopState>();
      MIAO_TRY(const int64_t count, loop.length());
      return Text("<LoopContext " + std::to_string(loop.index0 + 1) + "/" + std::to_string(count) + ">", true);
    }
    case Kind::joiner:
      return Text("<Joiner>", true);
    case Kind::cycler:
      return Text("<Cycler>", true);
    default:
      return repr(budget, v);
  }
}

Result<void> print(Budget& budget, Text& out, const Value& v) {
  if (v.is(Kind::string)) {
    MIAO_CHECK_OK(budget.text(v.text().size()));
    out.append(v.text());
  } else {
    MIAO_TRY(const Text text, to_text(budget, v));
    MIAO_CHECK_OK(budget.text(text.size()));
    out.append(text);
  }
  return budget.fits(out.size());
}

Result<Text> repr(Budget& budget, const Value& v) {
  Writer writer{.budget = budget};
  MIAO_CHECK_OK(writer.write(v));
  return finish(writer);
}

std::string real_text(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
  std::string digits(buffer, end);
  const size_t e = digits.find('e');
  const int exponent = std::atoi(digits.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return digits;
  end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::fixed).ptr;
  std::string text(buffer, end);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string quoted(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = single ? '"' : '\'';
  std::string out(1, quote);
  const char* hex = "0123456789abcdef";
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (is_printable(c)) {
      append_utf8(out, c);
    } else {
      const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
      out += c < 0x100 ? "\\x" : c < 0x10000 ? "\\u" : "\\U";
      for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += hex[(c >> shift) & 15];
    }
  }
  return out + quote;
}

}  // namespace miao::prep::jinja
