// json.dumps with the options of transformers' tojson filter.
#include <algorithm>
#include <cmath>

#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

struct JsonWriter {
  Budget& budget;
  const JsonStyle& style;
  std::string out;
  bool trusted = true;

  Result<void> write(const Value& v, int level);
  Result<void> write_dict(const DictObject& dict, int level);
  Result<void> write_string(const Text& text);
  Result<void> write_key(const Value& key);
  Result<void> line(int level) {
    if (!style.multiline) return {};
    out += '\n';
    const size_t width = style.indent.size() * static_cast<size_t>(level);
    MIAO_CHECK_OK(budget.text(width));
    MIAO_CHECK_OK(budget.fits(out.size() + width));
    for (int i = 0; i < level; ++i) out += style.indent;
    return {};
  }
};

void escape(std::string& out, char32_t c) {
  const char* hex = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += hex[(c >> shift) & 15];
}

Result<void> JsonWriter::write_string(const Text& text) {
  trusted = trusted && text.trusted();
  MIAO_CHECK_OK(budget.text(text.size()));
  out += '"';
  const std::string_view bytes = text.view();
  for (size_t at = 0; at < bytes.size();) {
    const size_t start = at;
    const char32_t c = next_code_point(bytes, at);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (c < 0x20 || (style.ensure_ascii && c >= 0x7F && c < 0x10000)) {
          if (c == 0x7F)
            out += '\x7F';
          else
            escape(out, c);
        } else if (style.ensure_ascii && c >= 0x10000) {
          escape(out, 0xD800 + ((c - 0x10000) >> 10));
          escape(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
        } else {
          out.append(bytes.substr(start, at - start));
        }
    }
  }
  out += '"';
  return {};
}

Result<void> JsonWriter::write_key(const Value& key) {
  switch (key.kind()) {
    case Kind::string:
      return write_string(key.text());
    case Kind::none:
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      out += '"';
      MIAO_CHECK_OK(write(key, 0));
      out += '"';
      return {};
    default:
      return type_error("tojson: keys must be str, int, float, bool or None, not " + type_name(key));
  }
}

Result<void> JsonWriter::write_dict(const DictObject& dict, int level) {
  if (dict.entries.empty()) {
    out += "{}";
    return {};
  }
  std::vector<const std::pair<Value, Value>*> order;
  for (const auto& entry : dict.entries) order.push_back(&entry);
  if (style.sort_keys) {
    for (const auto* entry : order) {
      if (!entry->first.is(Kind::string)) return type_error("tojson: sort_keys needs string keys");
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto* a, const auto* b) { return a->first.text().view() < b->first.text().view(); });
  }
  out += '{';
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0) out += style.item_separator;
    MIAO_CHECK_OK(line(level + 1));
    MIAO_CHECK_OK(write_key(order[i]->first));
    out += style.key_separator;
    MIAO_CHECK_OK(write(order[i]->second, level + 1));
  }
  MIAO_CHECK_OK(line(level));
  out += '}';
  return {};
}

Result<void> JsonWriter::write(const Value& v, int level) {
  MIAO_CHECK_OK(budget.spend(1));
  MIAO_CHECK_OK(budget.fits(out.size()));
  switch (v.kind()) {
    case Kind::none:
      out += "null";
      return {};
    case Kind::boolean:
      out += v.boolean() ? "true" : "false";
      return {};
    case Kind::integer:
      out += std::to_string(v.integer());
      return {};
    case Kind::real:
      if (std::isnan(v.real()))
        out += "NaN";
      else if (std::isinf(v.real()))
        out += v.real() < 0 ? "-Infinity" : "Infinity";
      else
        out += real_text(v.real());
      return {};
    case Kind::string:
      return write_string(v.text());
    case Kind::dict:
      return write_dict(v.dict(), level);
    case Kind::list:
    case Kind::tuple: {
      const auto& items = v.items();
      if (items.empty()) {
        out += "[]";
        return {};
      }
      out += '[';
      for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out += style.item_separator;
        MIAO_CHECK_OK(line(level + 1));
        MIAO_CHECK_OK(write(items[i], level + 1));
      }
      MIAO_CHECK_OK(line(level));
      out += ']';
      return {};
    }
    case Kind::undefined:
      return type_error("tojson: " + std::string(v.why()));
    default:
      return type_error("tojson: object of type " + type_name(v) + " is not JSON serializable");
  }
}

}  // namespace

Result<Text> to_json(Budget& budget, const Value& v, const JsonStyle& style) {
  JsonWriter writer{.budget = budget, .style = style};
  MIAO_CHECK_OK(writer.write(v, 0));
  MIAO_CHECK_OK(budget.fits(writer.out.size()));
  return Text(std::move(writer.out), writer.trusted);
}

}  // namespace miao::prep::jinja
