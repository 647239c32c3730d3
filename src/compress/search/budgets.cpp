// Budgets as people write them.
#include <charconv>
#include <cmath>
#include <span>

#include "compress/compress.h"

namespace miao::compress {

namespace {

struct Unit {
  std::string_view name;
  double factor;
};

// A number above zero and one of the units.
Result<double> number(std::string_view text, std::span<const Unit> units, const char* expected) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  if (error == std::errc() && std::isfinite(value) && value > 0) {
    for (const Unit& unit : units) {
      if (rest == unit.name) return value * unit.factor;
    }
  }
  return Error{Code::invalid, "'" + std::string(text) + "' is not " + expected, {}};
}

constexpr Unit kBytes10[] = {{"", 1},     {"B", 1},        {"kB", 1e3},     {"KB", 1e3},    {"MB", 1e6},
                             {"GB", 1e9}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}};

}  // namespace

Result<void> check_metric(std::string_view metric, bool counted, bool evaluate) {
  for (const char* known : {"", "ppl", "kld", "top1", "flips", "cosine", "overlap", "spearman"}) {
    if (metric == known) return {};
  }
  const bool right = metric == "accuracy" || metric == "accuracy_norm";
  if ((right && counted) || (metric == "evaluate" && evaluate)) return {};
  const std::string name(metric);
  if (right) {
    return Error{
        Code::invalid, name + " is of questions or labelled texts; give them (--choices, for encoders --labels)", {}};
  }
  if (metric == "evaluate")
    return Error{Code::invalid, "there is no figure of your own; give what tells it (--evaluate)", {}};
  return Error{
      Code::invalid,
      "'" + name +
          "' is not measured here; ppl, kld and top1 are, accuracy and accuracy_norm with questions "
          "(--choices), evaluate with a figure of your own (--evaluate); of encoders cosine, overlap, spearman "
          "with --pairs, accuracy, flips and kld with --labels",
      {}};
}

Result<double> parse_speed(std::string_view text) {
  constexpr Unit units[] = {{"x", 1}, {"", 1}};
  return number(text, units, "a factor of speed, such as 2x");
}

Result<double> parse_seconds(std::string_view text) {
  constexpr Unit units[] = {{"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}};
  return number(text, units, "a time with its unit, such as 200ms, 1.5s or 15min");
}

Result<double> parse_bytes(std::string_view text) {
  return number(text, kBytes10, "a number of bytes, such as 60MB or 1.5GiB");
}

Result<void> parse_size(std::string_view text, Budgets& budgets) {
  constexpr Unit percent[] = {{"%", 0.01}};
  if (auto share = number(text, percent, ""); share.ok()) {
    budgets.size_share = *share;
    return {};
  }
  auto bytes = number(text, kBytes10, "a size, such as 60MB, 1.5GiB or 40% (of the model as it is)");
  if (!bytes.ok()) return std::move(bytes.error());
  budgets.size = *bytes;
  return {};
}

}  // namespace miao::compress
