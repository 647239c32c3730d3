// Blocks straight from mmap: zeroed, returned to the system when freed, huge pages where the kernel grants them.
#include "base/memory.h"

#include <sys/mman.h>

#include <utility>

#include "base/cpu.h"

namespace miao {

Result<Memory> Memory::allocate(size_t bytes) {
  Memory out;
  if (bytes == 0) return out;
  constexpr size_t kHuge = size_t{2} << 20;
  const bool huge = bytes >= kHuge;
  const size_t unit = huge ? kHuge : 4096;
  if (bytes > SIZE_MAX - 2 * unit)
    return Error{Code::out_of_memory, "cannot allocate " + std::to_string(bytes) + " bytes", {}};
  const size_t rounded = (bytes + unit - 1) / unit * unit;
  const size_t extra = huge ? kHuge : 0;  // to cut an aligned block out of
  void* p = ::mmap(nullptr, rounded + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return Error{Code::out_of_memory, "cannot allocate " + std::to_string(bytes) + " bytes", {}};
  auto begin = reinterpret_cast<uintptr_t>(p);
  const uintptr_t aligned = huge ? (begin + kHuge - 1) / kHuge * kHuge : begin;
  if (aligned > begin) ::munmap(p, aligned - begin);
  const uintptr_t tail = begin + rounded + extra;
  if (tail > aligned + rounded) ::munmap(reinterpret_cast<void*>(aligned + rounded), tail - aligned - rounded);
  out.data_ = reinterpret_cast<std::byte*>(aligned);
  out.size_ = bytes;
  out.mapped_ = rounded;
  if (huge) ::madvise(out.data_, rounded, MADV_HUGEPAGE);
  return out;
}

Result<Memory> Memory::zeros(size_t bytes) {
  Memory out;
  if (bytes == 0) return out;
  void* p = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return Error{Code::out_of_memory, "cannot map " + std::to_string(bytes) + " bytes", {}};
  out.data_ = static_cast<std::byte*>(p);
  out.size_ = out.mapped_ = bytes;
  return out;
}

Memory::Memory(Memory&& other) noexcept { *this = std::move(other); }
Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}
Memory::~Memory() {
  if (data_) ::munmap(data_, mapped_);
}

Result<void> require_memory(uint64_t bytes, const std::string& what, const std::string& mend) {
  const uint64_t free = memory_limits().free;
  if (bytes <= free) return {};
  return Error{Code::out_of_memory,
               what + " need " + std::to_string(bytes >> 20) + " MiB and " + std::to_string(free >> 20) +
                   " MiB are free; " + mend,
               {}};
}

}  // namespace miao
