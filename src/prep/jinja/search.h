// Substring search in linear time, whatever the pattern: templates and conversations choose both sides.
#pragma once

#include <string_view>

namespace miao::prep::jinja {

// Offset of the first `needle` at or after `from`, or npos.
size_t find_first(std::string_view text, std::string_view needle, size_t from = 0);
// Offset of the last `needle` that ends at or before `end`, or npos.
size_t find_last(std::string_view text, std::string_view needle, size_t end = std::string_view::npos);

}  // namespace miao::prep::jinja
