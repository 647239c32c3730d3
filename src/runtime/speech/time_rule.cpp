#include "runtime/speech/time_rule.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace miao::runtime {

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// In lanes, which the compiler keeps in vectors: this is asked of a whole vocabulary for every beam of every step.
float largest(std::span<const float> values) {
  constexpr size_t kLanes = 16;
  float lanes[kLanes];
  std::fill_n(lanes, kLanes, kForbidden);
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) lanes[l] = values[i + l] > lanes[l] ? values[i + l] : lanes[l];
  }
  float out = *std::max_element(lanes, lanes + kLanes);
  for (; i < values.size(); ++i) out = std::max(out, values[i]);
  return out;
}

struct TimeRule {
  int32_t end, no_times, first_time, latest_start;

  void operator()(std::span<const int32_t> tokens, size_t prefix, std::span<float> scores) const {
    const auto vocab = static_cast<int32_t>(scores.size());
    const auto forbid = [&](int32_t from, int32_t to) {  // from <= token < to
      for (int32_t token = std::max(from, 0); token < std::min(to, vocab); ++token) {
        scores[static_cast<size_t>(token)] = kForbidden;
      }
    };
    forbid(no_times, no_times + 1);
    const std::span<const int32_t> said = tokens.subspan(prefix);
    if (said.empty()) {
      forbid(0, first_time);
      forbid(first_time + latest_start + 1, vocab);
      return;
    }
    const auto last_time = std::find_if(said.rbegin(), said.rend(), [&](int32_t token) { return token >= first_time; });
    if (said.back() >= first_time) {
      const bool pair = said.size() < 2 || said[said.size() - 2] >= first_time;
      if (pair) {
        forbid(first_time, vocab);
        return;
      }
      forbid(0, end);
      forbid(first_time, *last_time);
    } else if (last_time != said.rend()) {
      forbid(first_time, *last_time + 1);
    }
    if (times_are_likelier(scores)) forbid(0, first_time);
  }

  bool times_are_likelier(std::span<const float> scores) const {
    const size_t split = std::min(static_cast<size_t>(first_time), scores.size());
    const std::span<const float> times = scores.subspan(split);
    const float other = largest(scores.first(split)), top = largest(times);
    if (top == kForbidden) return false;
    if (other < top) return true;
    double sum = 0;
    for (const float value : times) sum += std::exp(double{value} - double{top});
    return double{top} + std::log(sum) > double{other};
  }
};

}  // namespace

TokenRule time_rule(const prep::WhisperTokens& tokens, int32_t latest_start) {
  return TimeRule{tokens.eot(), tokens.no_timestamps(), tokens.first_timestamp(), latest_start};
}

}  // namespace miao::runtime
