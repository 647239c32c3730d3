// Recording: 16,000 samples a second, in memory, or in a file that is read as far as it is needed: windows that move
// on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "prep/audio.h"

namespace miao::runtime {

class Recording {
 public:
  explicit Recording(std::span<const float> samples) : memory_(samples) {}  // which must outlive it
  static Result<Recording> open(const std::filesystem::path& path);

  // Samples from `first` on, valid until the next call: `count`, or as many as there are before the end. `first` never
  // decreases between two rewinds.
  Result<std::span<const float>> window(int64_t first, int64_t count);
  Result<void> rewind();  // to the beginning

 private:
  std::span<const float> memory_;
  std::filesystem::path path_;
  std::optional<prep::AudioReader> reader_;
  std::vector<float> held_;  // samples from `begin_` on
  int64_t begin_ = 0;
  bool more_ = true;  // the file has samples behind those held
};

}  // namespace miao::runtime
