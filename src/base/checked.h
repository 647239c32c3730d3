// Arithmetic on numbers that come from files: no value means overflow.
#pragma once

#include <cstdint>
#include <optional>

namespace miao {

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t r;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}
inline std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t r;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}
// Rounds up to a multiple of `align` (a power of two).
inline std::optional<uint64_t> checked_align(uint64_t a, uint64_t align) {
  auto r = checked_add(a, align - 1);
  if (r) *r &= ~(align - 1);
  return r;
}

}  // namespace miao
