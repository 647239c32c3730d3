#include "cli/checks.h"

#include <charconv>
#include <utility>

namespace miao::cli {

CLI::Validator number_within(double low, double high, std::string what) {
  const auto check = [low, high, what = std::move(what)](std::string& text) {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return std::string();
    return "'" + text + "' is not " + what;
  };
  return {check, ""};
}

CLI::Validator whole_number() {
  const auto check = [](std::string& text) {
    uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value);
    if (read.ec == std::errc() && read.ptr == end) return std::string();
    return "'" + text + "' is not a whole number from 0 to 2^64 - 1";
  };
  return {check, ""};
}

CLI::Validator not_empty() {
  return {[](std::string& text) { return text.empty() ? std::string("is empty") : std::string(); }, ""};
}

}  // namespace miao::cli
