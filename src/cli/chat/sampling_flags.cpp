#include "cli/chat/sampling_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>

#include "cli/checks.h"

namespace miao::cli {

namespace {

// "15=-2.5", "15+2.5", "15-2.5", "15=-inf"
std::optional<runtime::SamplerOptions::Bias> parse_bias(std::string_view text) {
  runtime::SamplerOptions::Bias out{};
  const char* const end = text.data() + text.size();
  const auto id = std::from_chars(text.data(), end, out.token);
  if (id.ec != std::errc() || id.ptr == end) return std::nullopt;
  const char sign = *id.ptr;
  if (sign != '=' && sign != '+' && sign != '-') return std::nullopt;
  const char* number = sign == '-' ? id.ptr : id.ptr + 1;  // from_chars reads a minus itself
  if (number != end && sign != '-' && *number == '+') ++number;
  const auto value = std::from_chars(number, end, out.value);
  if (value.ec != std::errc() || value.ptr != end || !(out.value < INFINITY)) return std::nullopt;
  return out;
}

}  // namespace

void add_sampling_flags(CLI::App& app, SamplingFlags& flags) {
  constexpr double kMost = std::numeric_limits<float>::max(), kLeast = std::numeric_limits<float>::min();
  const auto add = [&](const char* names, auto& value, const CLI::Validator& check, const char* help) {
    return app.add_option(names, value, help)->check(check)->group("Sampling");
  };
  const CLI::Validator share = number_within(0, 1, "a number from 0 to 1");
  const CLI::Validator number = number_within(-kMost, kMost, "a number");
  auto* const temperature =
      add("--temp,--temperature", flags.temperature, number_within(0, kMost, "0 or a positive number"),
          "Temperature; 0 takes the likeliest token");
  add("--top-k", flags.top_k, CLI::Range(int64_t{0}, INT64_MAX), "Only the K likeliest tokens; 0 = all");
  add("--top-p", flags.top_p, share, "Only the likeliest tokens that together reach probability P");
  add("--min-p", flags.min_p, share, "Only tokens with at least P times the largest probability");
  add("--repeat-penalty,--repetition-penalty", flags.repeat_penalty, number_within(kLeast, kMost, "a positive number"),
      "Divides positive logits of tokens seen; 1 = off");
  add("--presence-penalty", flags.presence_penalty, number, "Taken off the logit of each token seen");
  add("--frequency-penalty", flags.frequency_penalty, number, "Taken off once for each time that a token was seen");
  add("--repeat-last-n", flags.repeat_last_n, CLI::Range(int64_t{-1}, INT64_MAX),
      "Tokens that the penalties look back at; -1 = all, 0 = none");
  add("--seed", flags.seed, whole_number(), "The same seed gives the same answer; unset = another one each time");
  const auto bias = [](std::string& text) {
    return parse_bias(text) ? "" : "'" + text + "': write ID=VALUE, as in 15=-2.5 or 15=-inf";
  };
  add("--logit-bias", flags.logit_bias, CLI::Validator(bias, ""),
      "ID=VALUE, added to the logit of a token; -inf bans it; may be repeated")
      ->allow_extra_args(false);
  app.add_flag("--greedy", flags.greedy, "Always the likeliest token, as --temp 0")
      ->excludes(temperature)
      ->group("Sampling");
}

runtime::SamplerOptions SamplingFlags::over(runtime::SamplerOptions defaults) const {
  runtime::SamplerOptions out = std::move(defaults);
  out.temperature = greedy ? 0 : temperature.value_or(out.temperature);
  out.top_k = top_k.value_or(out.top_k);
  out.top_p = top_p.value_or(out.top_p);
  out.min_p = min_p.value_or(out.min_p);
  out.repeat_penalty = repeat_penalty.value_or(out.repeat_penalty);
  out.presence_penalty = presence_penalty.value_or(out.presence_penalty);
  out.frequency_penalty = frequency_penalty.value_or(out.frequency_penalty);
  out.penalty_last_n = repeat_last_n.value_or(out.penalty_last_n);
  out.seed = seed;
  for (const std::string& text : logit_bias) {
    if (const auto bias = parse_bias(text)) out.logit_bias.push_back(*bias);
  }
  return out;
}

}  // namespace miao::cli
