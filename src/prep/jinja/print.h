// Values as text: Python's str() and repr(), and json.dumps.
#pragma once

#include <string>

#include "prep/jinja/value.h"

namespace miao::prep::jinja {

// str(v); a string keeps its provenance, a container that holds any conversation text is untrusted as a whole.
Result<Text> to_text(Budget& budget, const Value& v);
// Appends str(v), without a copy for strings.
Result<void> print(Budget& budget, Text& out, const Value& v);
Result<Text> repr(Budget& budget, const Value& v);

struct JsonStyle {
  std::string indent;  // per level; used when `multiline`
  bool multiline = false;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};
// json.dumps(v); untrusted as a whole when v holds any conversation text.
Result<Text> to_json(Budget& budget, const Value& v, const JsonStyle& style);

// Shortest digits that read back as the same number, in Python's notation (1.0, 1e-05, 1e+16, inf).
std::string real_text(double d);
// Python's repr of a string: quotes and escapes.
std::string quoted(std::string_view text);

}  // namespace miao::prep::jinja
