// Mappings go run by run, so that every byte keeps its trust.
#include "prep/jinja/text_ops.h"

#include <algorithm>

#include "prep/jinja/search.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

constexpr char32_t kSigma = 0x3A3, kFinalSigma = 0x3C2;

template <class F>
Text map_runs(const Text& text, F&& map) {
  Text out;
  out.reserve(text.size());
  out.markup = text.markup;
  text.each_run(0, text.size(), [&](std::string_view bytes, bool trusted) {
    std::string piece;
    piece.reserve(bytes.size());
    for (size_t at = 0; at < bytes.size();) map(piece, next_code_point(bytes, at));
    out.append(piece, trusted);
  });
  return out;
}

bool is_cased(char32_t c) { return is_upper(c) || is_lower(c); }

// A capital sigma at the end of a word has its own small letter.
bool sigma_is_final(std::string_view text, size_t begin, size_t end) {
  if (begin == 0) return false;
  size_t before = previous_start(text, begin);
  if (!is_cased(next_code_point(text, before))) return false;
  return end >= text.size() || !is_cased(next_code_point(text, end));
}

}  // namespace

Text upper(const Text& text) {
  return map_runs(text, [](std::string& out, char32_t c) { append_upper(out, c); });
}

Text lower(const Text& text) {
  size_t at = 0;
  const std::string_view all = text.view();
  return map_runs(text, [&](std::string& out, char32_t c) {
    const size_t begin = at;
    at += sequence_length(all[begin]);
    if (c == kSigma && sigma_is_final(all, begin, at))
      append_utf8(out, kFinalSigma);
    else
      append_lower(out, c);
  });
}

Text capitalized(const Text& text) {
  bool first = true;
  return map_runs(text, [&](std::string& out, char32_t c) {
    if (std::exchange(first, false))
      append_title(out, c);
    else
      append_lower(out, c);
  });
}

Result<Value> strip(const Text& text, const Value* chars, bool left, bool right) {
  if (chars && !chars->is(Kind::string)) return bad_operand("strip characters must be a string", *chars);
  std::vector<char32_t> set;
  if (chars) {
    const std::string_view bytes = chars->text().view();
    for (size_t at = 0; at < bytes.size();) set.push_back(next_code_point(bytes, at));
    std::sort(set.begin(), set.end());
  }
  auto goes = [&](char32_t c) { return chars ? std::binary_search(set.begin(), set.end(), c) : is_space(c); };
  const std::string_view bytes = text.view();
  size_t begin = 0, end = bytes.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!goes(next_code_point(bytes, next))) break;
    begin = next;
  }
  while (right && begin < end) {
    const size_t start = previous_start(bytes, end);
    size_t next = start;
    if (!goes(next_code_point(bytes, next))) break;
    end = start;
  }
  return Value(text.slice(begin, end));
}

Result<Text> replaced(Budget& budget, const Text& text, const Text& from, const Text& to, int64_t count) {
  Text out;
  out.markup = text.markup;
  MIAO_CHECK_OK(budget.text(text.size()));
  size_t at = 0;
  auto put = [&]() -> Result<void> {
    MIAO_CHECK_OK(budget.text(to.size()));
    out.append(to);
    return budget.fits(out.size());
  };
  while (count != 0) {
    if (from.empty()) {  // before every character and at the end
      MIAO_CHECK_OK(put());
      if (at >= text.size()) break;
      const size_t next = at + sequence_length(text.bytes()[at]);
      out.append(text, at, next);
      at = next;
    } else {
      const size_t hit = find_first(text.view(), from.view(), at);
      if (hit == std::string_view::npos) break;
      out.append(text, at, hit);
      MIAO_CHECK_OK(put());
      at = hit + from.size();
    }
    if (count > 0) --count;
  }
  out.append(text, at, text.size());
  MIAO_CHECK_OK(budget.fits(out.size()));
  return out;
}

Result<Value> padded(Budget& budget, const Text& text, int64_t width, const Text& fill, Side side) {
  if (count_code_points(fill.view()) != 1) return type_error("the fill character must be one character");
  const auto size = static_cast<int64_t>(count_code_points(text.view()));
  MIAO_CHECK_OK(budget.text(text.size()));
  if (width <= size) return Value(text);
  const int64_t pad = width - size;
  MIAO_CHECK_OK(budget.fits(static_cast<size_t>(pad)));
  MIAO_CHECK_OK(budget.text(static_cast<size_t>(pad) * fill.size()));
  const int64_t before = side == Side::left ? 0 : side == Side::right ? pad : pad / 2 + (pad & width & 1);
  Text out;
  out.markup = text.markup;
  out.append_times(fill, static_cast<size_t>(before));
  out.append(text);
  out.append_times(fill, static_cast<size_t>(pad - before));
  MIAO_CHECK_OK(budget.fits(out.size()));
  return Value(std::move(out));
}

std::vector<std::pair<size_t, size_t>> line_ranges(const Text& text, bool keep_ends) {
  std::vector<std::pair<size_t, size_t>> lines;
  const std::string_view bytes = text.view();
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = at;
    const char32_t c = next_code_point(bytes, at);
    if (!is_line_end(c)) continue;
    if (c == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    lines.emplace_back(begin, keep_ends ? at : end);
    begin = at;
  }
  if (begin < bytes.size()) lines.emplace_back(begin, bytes.size());
  return lines;
}

}  // namespace miao::prep::jinja
