// KvCache: the keys and values of all sequences, in pages of 64 positions handed out on demand.
//
// One page holds 64 positions of every layer and KV head: [layer][kv_head][K | V], each part in the layout that the
// attention kernels read (kernels/kv.h, kernels/table.h). A sequence owns whole pages and keeps one array of page
// pointers per layer and head, so that attention walks it without arithmetic. Freed pages are kept, and zeroed when
// handed out again. Sequences that begin alike (beams) share pages; who writes into one that others have too takes a
// copy first. Each page knows how many of its positions were ever written to, so that zeroing and copying touch no more
// than these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/memory.h"
#include "base/result.h"
#include "graph/pass.h"
#include "kernels/kv.h"

namespace miao::runtime {

struct KvShape {
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  kernels::KvType type = kernels::KvType::f16;

  int64_t heads() const { return layers * kv_heads; }
  int64_t page_bytes() const;  // of one page: 64 positions of all layers
};

class KvCache {
 public:
  explicit KvCache(const KvShape& shape);
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  const KvShape& shape() const { return shape_; }
  int64_t bytes_per_token() const;
  int64_t bytes_reserved() const;  // memory taken from the system so far
  int64_t pages_in_use() const { return in_use_; }
  int64_t bytes_idle() const { return bytes_reserved() - in_use_ * shape_.page_bytes(); }  // reserved, in no sequence

  Result<std::byte*> take();  // a page of zeros; out_of_memory
  // A page with the first `positions` of `from`, and zeros. `from` must not be given back meanwhile.
  Result<std::byte*> take_copy(const std::byte* from, int64_t positions);
  // Positions of a page before this one may be written to.
  void will_write(std::byte* page, int64_t end);
  void give(std::byte* page);  // by one of its owners
  void share(std::byte* page) { ++more_owners_[page]; }
  bool shared(std::byte* page) const { return !more_owners_.empty() && more_owners_.contains(page); }

 private:
  int64_t& written(std::byte* page) const;  // kept behind the page
  Result<std::byte*> take_any();            // what was written to it may be left

  KvShape shape_;
  std::vector<Memory> slabs_;
  std::vector<std::byte*> free_;                         // used before; the last is handed out first
  std::vector<std::byte*> fresh_;                        // never used: zero already
  std::unordered_map<std::byte*, int64_t> more_owners_;  // of pages with more than one
  int64_t in_use_ = 0;
};

// The past of one text: its length and its pages. Move-only; must not outlive the KvCache.
class Sequence {
 public:
  explicit Sequence(KvCache& cache) : cache_(&cache) {}
  Sequence(Sequence&& other) noexcept { *this = std::move(other); }
  Sequence& operator=(Sequence&&) noexcept;
  ~Sequence() { clear(); }

  int64_t size() const { return size_; }  // positions that forward() has written
  void truncate(int64_t size);            // forgets all positions from `size` on; keeps everything when size >= size()
  void clear() { truncate(0); }
  Sequence fork() const;  // a sequence with the same past

  // For forward(): makes room for positions up to `size`, in pages of its own, then counts them as written.
  Result<void> reserve(int64_t size);
  void advance(int64_t size) { size_ = size; }
  // For measurements: as if forward() had written `size` positions, of zeros in memory of their own.
  Result<void> fill(int64_t size);
  graph::KvPages pages() const;

 private:
  void set_page(int64_t index, std::byte* page);

  KvCache* cache_ = nullptr;
  int64_t size_ = 0;
  int64_t capacity_ = 0;  // pointers per array
  std::vector<std::byte*> pages_;
  std::vector<const void*> k_, v_;  // [layer][kv_head][capacity]
};

}  // namespace miao::runtime
