// From the tokens of a window to pieces of text with a beginning and an end, and to where the next window begins.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "prep/whisper_tokens.h"

namespace miao::runtime {

// A piece of a window, from its beginning in frames of 10 ms.
struct TimedTokens {
  int64_t start = 0, end = 0;
  std::span<const int32_t> tokens;
};

struct WindowSegments {
  std::vector<TimedTokens> segments;
  int64_t read = 0;  // frames, at least one, after which the next window begins
};

// `tokens` (without the end token) of a window of `frames` frames. What follows the last pair of times was not heard to
// its end: the next window begins there. A single time at the end says that nothing follows it.
WindowSegments split_at_times(std::span<const int32_t> tokens, int64_t frames, const prep::WhisperTokens& ids);

}  // namespace miao::runtime
