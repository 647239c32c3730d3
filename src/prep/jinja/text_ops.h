// Text operations shared by filters and str methods.
#pragma once

#include <utility>
#include <vector>

#include "prep/jinja/value.h"

namespace miao::prep::jinja {

Text upper(const Text& text);
Text lower(const Text& text);
Text capitalized(const Text& text);  // first character in title case, the rest lower

// Without leading (left) and trailing (right) blanks, or without the characters of `chars` (a string value).
Result<Value> strip(const Text& text, const Value* chars, bool left, bool right);

// The first `count` occurrences (all when negative).
Result<Text> replaced(Budget& budget, const Text& text, const Text& from, const Text& to, int64_t count);

enum class Side { left, right, center };  // where the text stands in the field
Result<Value> padded(Budget& budget, const Text& text, int64_t width, const Text& fill, Side side);

// [begin, end) of each line, with or without its line end.
std::vector<std::pair<size_t, size_t>> line_ranges(const Text& text, bool keep_ends);

}  // namespace miao::prep::jinja
