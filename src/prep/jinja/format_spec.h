// One formatted field: fill, alignment, sign, width, precision, type. Shared by "%" and "{}" formatting.
#pragma once

#include <string>
#include <string_view>

#include "prep/jinja/value.h"

namespace miao::prep::jinja {

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

Error bad_format(std::string message);

// Reads decimal digits at `at` and moves `at` behind them.
Result<int64_t> read_number(std::string_view text, size_t& at);

// Append a number or text in its field; padding takes `trusted`.
Result<void> put_number(Budget& budget, Text& out, const Value& v, const Spec& spec, bool trusted);
Result<void> put_string(Budget& budget, Text& out, const Text& text, const Spec& spec, char align, bool trusted);

}  // namespace miao::prep::jinja
