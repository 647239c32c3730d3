// See passages.h. Tokens are counted a unit (sentence, line, word) at a time: the sum is that of the whole text or a
// little more, and the work is linear in the text.
#include "search/passages.h"

#include <algorithm>

namespace miao::search {

namespace {

struct Unit {
  size_t begin, end;
  int64_t tokens;
};

enum class Border : uint8_t { sentence, line, word, character };

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_inside(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }  // of a character of UTF-8

// Marks that end a sentence with no white space behind them.
bool ends_wide_sentence(std::string_view text, size_t end) {
  const std::string_view head = text.substr(0, end);
  return head.ends_with("\xe3\x80\x82") || head.ends_with("\xef\xbc\x81") || head.ends_with("\xef\xbc\x9f");
}

bool ends_sentence(std::string_view text, size_t end) {
  // Marks may be followed by quotes and brackets that close.
  size_t at = end;
  while (at > 0 && (text[at - 1] == '"' || text[at - 1] == '\'' || text[at - 1] == ')' || text[at - 1] == ']')) --at;
  if (at == 0) return false;
  return text[at - 1] == '.' || text[at - 1] == '!' || text[at - 1] == '?' ||
         text.substr(0, at).ends_with("\xe2\x80\xa6");
}

// Where the unit that begins at `begin` ends, white space behind it included.
size_t unit_end(std::string_view text, size_t begin, Border border, size_t limit) {
  size_t at = begin;
  if (border == Border::character) {
    at = std::min(begin + std::max<size_t>(limit, 1), text.size());
    while (at < text.size() && is_inside(text[at])) ++at;
    return at;
  }
  while (at < text.size()) {
    ++at;
    if (border == Border::sentence && ends_wide_sentence(text, at)) break;
    if (at == text.size() || !is_space(text[at])) continue;
    const bool line = text[at] == '\n';
    const bool paragraph = line && at + 1 < text.size() && text[at + 1] == '\n';
    if (border == Border::word || (border == Border::line && line) ||
        (border == Border::sentence && (paragraph || ends_sentence(text, at)))) {
      break;
    }
  }
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

Result<void> add_units(std::string_view text, Unit range, Border border, int64_t limit, const CountTokens& count,
                       std::vector<Unit>& out) {
  const std::string_view head = text.substr(0, range.end);
  for (size_t at = range.begin; at < range.end;) {
    const size_t end = unit_end(head, at, border, static_cast<size_t>(limit));
    MIAO_TRY(const int64_t tokens, count(text.substr(at, end - at)));
    if (tokens > limit && border != Border::character) {
      MIAO_CHECK_OK(
          add_units(text, {at, end, tokens}, static_cast<Border>(static_cast<int>(border) + 1), limit, count, out));
    } else {
      out.push_back({at, end, tokens});
    }
    at = end;
  }
  return {};
}

Part trimmed(std::string_view text, size_t begin, size_t end) {
  while (begin < end && is_space(text[begin])) ++begin;
  while (end > begin && is_space(text[end - 1])) --end;
  return {begin, end};
}

}  // namespace

Result<std::vector<Part>> split_text(std::string_view text, int64_t limit, int64_t overlap, const CountTokens& count) {
  std::vector<Part> out;
  const Part whole = trimmed(text, 0, text.size());
  if (whole.begin == whole.end) return out;
  if (static_cast<int64_t>(whole.end - whole.begin) <= limit) return std::vector<Part>{whole};  // a token has a byte
  const std::string_view kept = text.substr(0, whole.end);
  MIAO_TRY(const int64_t all, count(kept.substr(whole.begin)));
  if (all <= limit) return std::vector<Part>{whole};
  std::vector<Unit> units;
  MIAO_CHECK_OK(add_units(kept, {whole.begin, whole.end, all}, Border::sentence, limit, count, units));
  for (size_t first = 0, fresh = 0; fresh < units.size();) {  // fresh: the first unit that no part has yet
    int64_t tokens = 0;
    size_t last = first;
    while (last < units.size() && (last == first || tokens + units[last].tokens <= limit))
      tokens += units[last++].tokens;
    if (last <= fresh) {  // the repeated units leave no room for a new one
      first = fresh;
      continue;
    }
    out.push_back(trimmed(kept, units[first].begin, units[last - 1].end));
    fresh = first = last;
    for (int64_t repeated = 0; first > 0 && repeated + units[first - 1].tokens <= overlap;) {
      repeated += units[--first].tokens;
    }
  }
  return out;
}

}  // namespace miao::search
