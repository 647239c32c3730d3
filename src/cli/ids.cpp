#include "cli/ids.h"

#include <charconv>
#include <string>

#include "cli/terminal.h"

namespace miao::cli {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

}  // namespace

Result<std::vector<int32_t>> parse_ids(std::string_view text, int64_t vocab) {
  const auto wrong = [&] { return Error{Code::invalid, "is not a list of token ids: " + shorten(text, 40), {}}; };
  std::vector<int32_t> ids;
  std::string_view rest = trim(text);
  if (rest.starts_with('[')) {
    if (!rest.ends_with(']')) return wrong();
    rest = trim(rest.substr(1, rest.size() - 2));
  }
  while (!rest.empty()) {
    if (!ids.empty() && rest.front() == ',') rest = trim(rest.substr(1));
    int64_t id = 0;
    const auto [next, error] = std::from_chars(rest.data(), rest.data() + rest.size(), id);
    const size_t digits = static_cast<size_t>(next - rest.data());
    if (error == std::errc::invalid_argument) return wrong();
    if (error != std::errc() || id < 0 || id >= vocab) {
      return Error{
          Code::invalid,
          "token id " + shorten(rest.substr(0, digits), 24) + " is not within 0 to " + std::to_string(vocab - 1),
          {}};
    }
    ids.push_back(static_cast<int32_t>(id));
    rest.remove_prefix(digits);
    if (!rest.empty() && rest.front() != ',' && kSpace.find(rest.front()) == kSpace.npos) return wrong();
    rest = trim(rest);
  }
  return ids;
}

}  // namespace miao::cli
