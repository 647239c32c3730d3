// What safetensors files may hold, as the parser checks and the writer keeps it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace miao::io {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxTensors = 1'000'000;
constexpr size_t kMaxMetadata = 65536;
constexpr size_t kMaxNameBytes = 4096;
constexpr size_t kMaxRank = 8;

}  // namespace miao::io
