#include "runtime/speech/segments.h"

#include <algorithm>

namespace miao::runtime {

namespace {

constexpr int64_t kFramesAStep = 2;  // from one time to the next

}  // namespace

WindowSegments split_at_times(std::span<const int32_t> tokens, int64_t frames, const prep::WhisperTokens& ids) {
  const auto time = [&](size_t i) { return ids.is_timestamp(tokens[i]); };
  const auto frame = [&](int32_t token) { return kFramesAStep * std::max(0, token - ids.first_timestamp()); };
  const size_t size = tokens.size();
  std::vector<size_t> cuts;
  for (size_t i = 1; i < size; ++i) {
    if (time(i - 1) && time(i)) cuts.push_back(i);
  }
  const bool single_end = size >= 2 && !time(size - 2) && time(size - 1);
  WindowSegments out;
  out.read = frames;
  if (cuts.empty()) {
    const auto last =
        std::find_if(tokens.rbegin(), tokens.rend(), [&](int32_t token) { return ids.is_timestamp(token); });
    const bool late = last != tokens.rend() && *last != ids.first_timestamp();
    out.segments.push_back({0, late ? frame(*last) : frames, tokens});
    return out;
  }
  if (single_end) cuts.push_back(size);
  size_t begin = 0;
  for (const size_t cut : cuts) {
    const std::span<const int32_t> piece = tokens.subspan(begin, cut - begin);
    out.segments.push_back({frame(piece.front()), frame(piece.back()), piece});
    begin = cut;
  }
  if (!single_end) out.read = std::max<int64_t>(1, frame(tokens[begin - 1]));
  return out;
}

}  // namespace miao::runtime
