#include "runtime/speech/recording.h"

#include <algorithm>

#include "base/check.h"

namespace miao::runtime {

namespace {

// Memory does not grow with the length, but a small file may hold days of silence.
constexpr prep::AudioLimits kLimits{.max_seconds = 24 * 3600};

}  // namespace

Result<Recording> Recording::open(const std::filesystem::path& path) {
  Recording out{std::span<const float>()};
  out.path_ = path;
  MIAO_CHECK_OK(out.rewind());
  return out;
}

Result<void> Recording::rewind() {
  if (path_.empty()) return {};
  MIAO_TRY(reader_, prep::AudioReader::open(path_, kLimits));
  held_.clear();
  begin_ = 0;
  more_ = true;
  return {};
}

Result<std::span<const float>> Recording::window(int64_t first, int64_t count) {
  if (path_.empty()) {
    const auto size = static_cast<int64_t>(memory_.size());
    const int64_t from = std::min(first, size);
    return memory_.subspan(static_cast<size_t>(from), static_cast<size_t>(std::min(count, size - from)));
  }
  MIAO_CHECK(first >= begin_);
  const auto held = [&] { return static_cast<int64_t>(held_.size()); };
  const auto drop = [&] {
    const int64_t gone = std::min(first - begin_, held());
    held_.erase(held_.begin(), held_.begin() + gone);
    begin_ += gone;
  };
  drop();
  while (more_ && begin_ + held() < first + count) {
    MIAO_TRY(more_, reader_->read(held_));
    if (begin_ < first) drop();
  }
  const int64_t there = begin_ < first ? 0 : std::min(count, held());
  return std::span<const float>(held_).first(static_cast<size_t>(there));
}

}  // namespace miao::runtime
