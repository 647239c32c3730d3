// A hand-written scanner of PEP 440's grammar: [N!]N(.N)*[{a|b|rc}N][.postN][.devN][+local], with its spellings.
#include "io/hub/version.h"

#include <array>
#include <charconv>

namespace miao::io {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_separator(char c) { return c == '.' || c == '-' || c == '_'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool take(std::string_view& text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c != word[i]) return false;
  }
  text.remove_prefix(word.size());
  return true;
}

std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

// "[sep]word[sep][N]": the number, 0 when left out. Leaves `text` as it was when no word fits.
template <size_t N>
std::optional<std::pair<size_t, uint64_t>> take_label(std::string_view& text,
                                                      const std::array<std::string_view, N>& words) {
  std::string_view rest = text;
  if (!rest.empty() && is_separator(rest.front())) rest.remove_prefix(1);
  for (size_t i = 0; i < N; ++i) {
    if (!take(rest, words[i])) continue;
    if (rest.size() > 1 && is_separator(rest[0]) && is_digit(rest[1])) rest.remove_prefix(1);
    const uint64_t value = take_number(rest).value_or(0);
    text = rest;
    return std::pair{i, value};
  }
  return std::nullopt;
}

bool take_local(std::string_view& text, Version& out) {
  if (text.empty() || text.front() != '+') return true;
  text.remove_prefix(1);
  while (true) {
    size_t size = 0;
    bool digits = true;
    while (size < text.size() && (is_digit(text[size]) || is_letter(text[size])))
      digits = is_digit(text[size++]) && digits;
    if (size == 0) return false;
    std::string_view label = text.substr(0, size);
    text.remove_prefix(size);
    if (digits) {
      const auto value = take_number(label);
      if (!value || *value == ~uint64_t{0}) return false;
      out.local.push_back({*value + 1, {}});
    } else {
      out.local.push_back({0, label});
    }
    if (text.empty()) return true;
    if (!is_separator(text.front())) return false;
    text.remove_prefix(1);
  }
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  Version out;
  take(text, "v");
  auto number = take_number(text);
  if (!number) return std::nullopt;
  if (!text.empty() && text.front() == '!') {
    out.epoch = *number;
    text.remove_prefix(1);
    if (!(number = take_number(text))) return std::nullopt;
  }
  out.release.push_back(*number);
  while (text.size() > 1 && text[0] == '.' && is_digit(text[1])) {
    text.remove_prefix(1);
    if (!(number = take_number(text))) return std::nullopt;
    out.release.push_back(*number);
  }
  while (out.release.size() > 1 && out.release.back() == 0) out.release.pop_back();

  // Longer spellings come before their prefixes.
  static constexpr std::array<std::string_view, 8> kPre = {"alpha", "beta", "preview", "pre", "rc", "a", "b", "c"};
  static constexpr std::array<int, 8> kPhase = {1, 2, 3, 3, 3, 1, 2, 3};
  static constexpr std::array<std::string_view, 3> kPost = {"post", "rev", "r"};
  static constexpr std::array<std::string_view, 1> kDev = {"dev"};
  if (const auto pre = take_label(text, kPre)) out.pre = {kPhase[pre->first], pre->second};
  if (text.size() > 1 && text[0] == '-' && is_digit(text[1])) {  // "1.0-1" is a post release
    text.remove_prefix(1);
    out.post = take_number(text);
    if (!out.post) return std::nullopt;
  } else if (const auto post = take_label(text, kPost)) {
    out.post = post->second;
  }
  if (const auto dev = take_label(text, kDev)) {
    out.dev = dev->second;
    if (out.pre.first == 4 && !out.post) out.pre = {0, 0};
  }
  if (!take_local(text, out) || !text.empty()) return std::nullopt;
  return out;
}

}  // namespace miao::io
