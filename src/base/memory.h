// Memory: a page-aligned, zeroed, move-only block; large blocks ask for huge pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace miao {

class Memory {
 public:
  static Result<Memory> allocate(size_t bytes);  // out_of_memory names the size
  static Result<Memory> zeros(size_t bytes);     // to be read alone; takes no memory, however large. The same Error
  Memory() = default;
  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;
  ~Memory();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  template <class T>
  T* as(size_t byte_offset = 0) const {
    return reinterpret_cast<T*>(data_ + byte_offset);
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

// out_of_memory when `what` needs more bytes than can be had (base/cpu.h): "<what> need 5000 MiB and 800 MiB are free;
// <mend>". A process that takes more is ended by the kernel, without a word.
Result<void> require_memory(uint64_t bytes, const std::string& what, const std::string& mend);

}  // namespace miao
