// A trie over bytes whose edges live in one hash table: {node, byte} -> node. Cheap to build, no limit on its shape.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

namespace miao::prep {

class Trie {
 public:
  Trie() { root_.fill(-1); }
  // A text that is there already takes the new value.
  void insert(std::string_view text, int32_t value) {
    int32_t node = 0;
    for (char c : text) node = child(node, static_cast<uint8_t>(c));
    value_[static_cast<size_t>(node)] = value;
  }
  bool empty() const { return value_.size() == 1; }

  static constexpr int32_t kRoot = 0;
  int32_t next(int32_t node, char c) const {  // -1: no such edge
    const auto byte = static_cast<uint8_t>(c);
    if (node == kRoot) return root_[byte];
    if (slots_.empty()) return -1;
    const uint64_t key = static_cast<uint64_t>(node) << 8 | byte;
    for (size_t i = hash(key) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].key == key) return slots_[i].node;
      if (slots_[i].node < 0) return -1;
    }
  }
  int32_t value(int32_t node) const { return value_[static_cast<size_t>(node)]; }  // -1: no text ends here

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t node = -1;
  };
  static uint64_t hash(uint64_t key) {
    key *= 0x9E3779B97F4A7C15u;
    return key ^ key >> 32;
  }
  int32_t child(int32_t node, uint8_t byte) {
    if (const int32_t found = next(node, static_cast<char>(byte)); found >= 0) return found;
    const auto made = static_cast<int32_t>(value_.size());
    value_.push_back(-1);
    if (node == kRoot) {
      root_[byte] = made;
      return made;
    }
    if ((used_ + 1) * 3 > slots_.size() * 2) {
      std::vector<Slot> old(std::bit_ceil(slots_.size() * 2 + 16));
      old.swap(slots_);
      for (const Slot& slot : old) {
        if (slot.node >= 0) place(slot);
      }
    }
    place({static_cast<uint64_t>(node) << 8 | byte, made});
    ++used_;
    return made;
  }
  void place(const Slot& slot) {
    size_t i = hash(slot.key) & (slots_.size() - 1);
    while (slots_[i].node >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }

  std::array<int32_t, 256> root_;
  std::vector<Slot> slots_;
  std::vector<int32_t> value_{-1};
  size_t used_ = 0;
};

}  // namespace miao::prep
