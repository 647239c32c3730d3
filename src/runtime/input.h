// What an encoder reads.
#pragma once

#include <cstdint>
#include <span>

namespace miao::runtime {

struct EncoderInput {
  std::span<const int32_t> ids;
  std::span<const int32_t> types;   // segment of each id; empty = all 0
  std::span<const float> features;  // instead of ids, for models of audio: (frames, values), an even number of frames
};

}  // namespace miao::runtime
