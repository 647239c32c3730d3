// Checksums of data at rest: XXH3, as fast as memory can be read. They find damage, not intent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace miao {

uint64_t checksum(std::span<const std::byte> bytes);  // XXH3-64
std::string fingerprint(std::string_view text);       // XXH3-128 as 32 hex digits: a name for what the text says

}  // namespace miao
