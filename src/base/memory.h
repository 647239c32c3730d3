// Memory: a page-aligned, zeroed, move-only block; large blocks ask for huge pages.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"

namespace miao {

class Memory {
 public:
  static Result<Memory> allocate(size_t bytes);  // out_of_memory names the size
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

}  // namespace miao
