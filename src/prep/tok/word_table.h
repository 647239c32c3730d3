// A table of words and their ids, one per thread for all models: text repeats its words, so most need no model at all.
//
//   entry   {word of up to 24 bytes as three loads, its size, the model's serial, up to 8 ids}   64 bytes
// Direct mapped: a new word takes the place of the old one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "prep/tok/model.h"
#include "prep/tok/vocab.h"

namespace miao::prep {

class WordTable {
 public:
  static uint32_t new_serial() {
    static std::atomic<uint32_t> serial{0};
    return ++serial;
  }

  // Appends the ids of `word`: known ones, or those that work() appends.
  template <class Work>
  static void encode(uint32_t serial, std::string_view word, Pieces& out, Work&& work) {
    if (word.size() > kBytes || out.word.from) return work();  // an entry knows no ranges
    thread_local std::vector<Entry> entries(kEntries);
    Entry key;
    load(word.data(), word.size(), &key);
    constexpr HashKey kPlace{0x9E3779B97F4A7C15u,
                             0xD6E8FEB86659FD93u};  // words that share one only cost the table's help
    const uint64_t h =
        kPlace.mix(key.a ^ word.size() ^ static_cast<uint64_t>(serial) << 32, key.b + key.c * 0x9E3779B97F4A7C15u);
    Entry& entry = entries[h & (kEntries - 1)];
    if (entry.a == key.a && entry.b == key.b && entry.c == key.c && entry.size == word.size() &&
        entry.serial == serial) {
      for (size_t i = 0; i < entry.count; ++i) out.ids.push_back(entry.ids[i]);
      return;
    }
    const size_t before = out.ids.size();
    work();
    const size_t count = out.ids.size() - before;
    if (count > std::size(key.ids)) return;
    key.serial = serial;
    key.size = static_cast<uint8_t>(word.size());
    key.count = static_cast<uint8_t>(count);
    std::copy_n(out.ids.begin() + static_cast<ptrdiff_t>(before), count, key.ids);
    entry = key;
  }

 private:
  struct Entry {
    uint64_t a = 0, b = 0, c = 0;
    uint32_t serial = 0;
    uint8_t size = 0, count = 0;
    int32_t ids[8];
  };
  static constexpr size_t kEntries = 8192;
  static constexpr size_t kBytes = 24;

  // With the size, the loads tell any two words of up to 24 bytes apart; they may overlap.
  static void load(const char* p, size_t n, Entry* e) {
    if (n >= 8) {
      e->a = load64(p);
      e->b = load64(p + n - 8);
      e->c = n > 16 ? load64(p + 8) : 0;
    } else if (n >= 4) {
      e->a = load32(p);
      e->b = load32(p + n - 4);
    } else {
      e->a = static_cast<uint8_t>(p[0]) | static_cast<uint64_t>(static_cast<uint8_t>(p[n / 2])) << 8 |
             static_cast<uint64_t>(static_cast<uint8_t>(p[n - 1])) << 16;
    }
  }
};

}  // namespace miao::prep
