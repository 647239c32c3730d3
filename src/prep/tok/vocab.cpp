// Text -> id by linear probing; see vocab.h.
#include "prep/tok/vocab.h"

#include <bit>
#include <random>

#include "base/check.h"

namespace miao::prep {

HashKey HashKey::of_process() {
  static const HashKey key = [] {
    std::random_device random;
    const auto draw = [&] { return static_cast<uint64_t>(random()) << 32 | random(); };
    return HashKey{draw(), draw()};
  }();
  return key;
}

void Vocab::reserve(size_t pieces, size_t bytes) {
  arena_.reserve(bytes);
  offset_.reserve(pieces + 1);
  slots_.assign(std::bit_ceil(pieces * 2 + 16), {});
}

void Vocab::add(std::string_view piece, bool searchable) {
  MIAO_CHECK(arena_.size() + piece.size() < UINT32_MAX);  // the loaders bound the total
  arena_ += piece;
  offset_.push_back(static_cast<uint32_t>(arena_.size()));
  if (!searchable) return;
  if ((used_ + 1) * 2 > slots_.size()) {
    std::vector<Slot> old(std::bit_ceil(slots_.size() * 2 + 16));
    old.swap(slots_);
    used_ = 0;
    for (const Slot& slot : old) {
      if (slot.id >= 0) insert(slot.id);
    }
  }
  insert(size() - 1);
}

void Vocab::insert(int32_t id) {
  const std::string_view text = piece(id);
  const uint64_t h = key_.of(text);
  const auto tag = static_cast<uint32_t>(h >> 32);
  for (size_t i = h & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    Slot& slot = slots_[i];
    if (slot.id >= 0 && (slot.tag != tag || piece(slot.id) != text)) continue;
    used_ += slot.id < 0;
    slot = {tag, id};
    return;
  }
}

int32_t Vocab::find(std::string_view text) const {
  if (slots_.empty()) return -1;
  const uint64_t h = key_.of(text);
  const auto tag = static_cast<uint32_t>(h >> 32);
  for (size_t i = h & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[i];
    if (slot.id < 0) return -1;
    if (slot.tag == tag && piece(slot.id) == text) return slot.id;
  }
}

}  // namespace miao::prep
