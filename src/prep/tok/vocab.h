// The pieces of a vocabulary: one string arena, offsets by id, and an open-addressing table from text to id.
//
//   arena   "!\"#...hello..."      offset_[id] .. offset_[id + 1] is piece `id`
//   slots   {hash tag, id}         linear probing, at most half full; equal texts: the last id wins
//
// Vocabularies are files of strangers: every hash of what they hold is keyed by numbers that this process drew, so that
// no file can list pieces (or merges, or trie edges) that all fall into one place of a table.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace miao::prep {

inline uint64_t load64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}
inline uint64_t load32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return v;
}

struct HashKey {
  uint64_t a, b;

  static HashKey of_process();  // drawn once
  // Both factors are keyed: a factor that a file could make zero would hide the other one.
  uint64_t mix(uint64_t x, uint64_t y) const { return fold(x ^ a, y ^ b); }
  // Twice: one product leaves keys in arithmetic progression (the ids of merges) in clusters for one key `b` in
  // twenty, however it was drawn.
  uint64_t of(uint64_t x) const { return fold(fold(x ^ a, b), 0x9E3779B97F4A7C15u); }
  uint64_t of(std::string_view s) const {
    const char* p = s.data();
    size_t n = s.size();
    uint64_t h = n;
    for (; n > 16; n -= 16, p += 16) h = mix(h ^ load64(p), load64(p + 8));
    if (n >= 8) return mix(h ^ load64(p), load64(p + n - 8));
    if (n >= 4) return mix(h ^ load32(p), load32(p + n - 4));
    uint64_t tail = 0;
    for (size_t i = 0; i < n; ++i) tail = tail << 8 | static_cast<uint8_t>(p[i]);
    return mix(h, tail);
  }

 private:
  static uint64_t fold(uint64_t x, uint64_t y) {
    const auto m = static_cast<unsigned __int128>(x) * y;
    return static_cast<uint64_t>(m) ^ static_cast<uint64_t>(m >> 64);
  }
};

class Vocab {
 public:
  void reserve(size_t pieces, size_t bytes);
  // The next id. `searchable` false keeps the piece out of find().
  void add(std::string_view piece, bool searchable = true);
  int32_t find(std::string_view piece) const;  // -1: absent
  int32_t size() const { return static_cast<int32_t>(offset_.size() - 1); }
  std::string_view piece(int32_t id) const {
    return {arena_.data() + offset_[id], static_cast<size_t>(offset_[id + 1] - offset_[id])};
  }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;
  };
  void insert(int32_t id);

  HashKey key_ = HashKey::of_process();
  std::string arena_;
  std::vector<uint32_t> offset_{0};
  std::vector<Slot> slots_;
  size_t used_ = 0;
};

}  // namespace miao::prep
