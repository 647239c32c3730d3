// What GGUF files may hold, as the parser checks and the writer keeps it.
#pragma once

#include <cstdint>

namespace miao::io {

constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr uint64_t kMaxKeyNameBytes = 65535;
constexpr uint64_t kMaxTensorNameBytes = 63;
constexpr uint32_t kMaxDims = 4;
constexpr uint32_t kDefaultAlignment = 32;
constexpr uint32_t kMinAlignment = 8, kMaxAlignment = 65536;

}  // namespace miao::io
