// ByteReader: takes little-endian numbers and strings off a span of bytes; a read past the end takes nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace miao::io {

static_assert(std::endian::native == std::endian::little, "numbers in model files are little endian");

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }
  // Where the bytes had to reach for the read that took nothing; 0 = none did.
  uint64_t wanted() const { return wanted_; }
  const std::byte* here() const { return bytes_.data() + offset_; }

  template <class T>
  bool number(T& out) {
    if (remaining() < sizeof(T)) return short_of(sizeof(T));
    std::memcpy(&out, here(), sizeof(T));
    offset_ += sizeof(T);
    return true;
  }
  bool text(uint64_t size, std::string_view& out) {
    if (remaining() < size) return short_of(size);
    out = {reinterpret_cast<const char*>(here()), static_cast<size_t>(size)};
    offset_ += size;
    return true;
  }

 private:
  bool short_of(uint64_t size) {
    wanted_ = size > UINT64_MAX - offset_ ? UINT64_MAX : offset_ + size;
    return false;
  }

  std::span<const std::byte> bytes_;
  uint64_t offset_ = 0, wanted_ = 0;
};

}  // namespace miao::io
