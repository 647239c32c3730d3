// Forward search is the C library's memmem (two-way, linear). Backward search scans short needles directly and runs
// Knuth-Morris-Pratt over the reversed text for long ones.
#include "prep/jinja/search.h"

#include <string.h>

#include <algorithm>
#include <vector>

namespace miao::prep::jinja {

namespace {

constexpr size_t kShort = 32;  // needle bytes up to which a direct backward scan is bounded well enough

size_t find_last_long(std::string_view text, std::string_view needle) {
  const size_t m = needle.size();
  auto reversed = [&](size_t i) { return needle[m - 1 - i]; };
  std::vector<size_t> border(m, 0);  // length of the longest proper border of reversed[0..i]
  for (size_t i = 1, k = 0; i < m; ++i) {
    while (k > 0 && reversed(i) != reversed(k)) k = border[k - 1];
    if (reversed(i) == reversed(k)) ++k;
    border[i] = k;
  }
  for (size_t at = text.size(), k = 0; at-- > 0;) {
    while (k > 0 && text[at] != reversed(k)) k = border[k - 1];
    if (text[at] == reversed(k)) ++k;
    if (k == m) return at;
  }
  return std::string_view::npos;
}

}  // namespace

size_t find_first(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  const void* hit = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  return hit ? static_cast<size_t>(static_cast<const char*>(hit) - text.data()) : std::string_view::npos;
}

size_t find_last(std::string_view text, std::string_view needle, size_t end) {
  text = text.substr(0, std::min(end, text.size()));
  if (needle.size() > text.size()) return std::string_view::npos;
  return needle.size() <= kShort ? text.rfind(needle) : find_last_long(text, needle);
}

}  // namespace miao::prep::jinja
