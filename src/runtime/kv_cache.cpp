// Pages are cut from slabs of a few MiB, so that small models do not pay a huge page per KV page and large ones do not
// take memory that they do not use yet.
#include "runtime/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace miao::runtime {

namespace {

constexpr int64_t kSlabBytes = int64_t{8} << 20;
constexpr int64_t kMarkBytes = 64;  // behind a page: how many of its positions were written to

}  // namespace

int64_t KvShape::page_bytes() const { return 2 * heads() * kernels::page_bytes(type, head_dim); }

KvCache::KvCache(const KvShape& shape) : shape_(shape) {}

int64_t KvCache::bytes_per_token() const { return shape_.page_bytes() / kernels::kPage; }

int64_t KvCache::bytes_reserved() const {
  int64_t total = 0;
  for (const Memory& slab : slabs_) total += static_cast<int64_t>(slab.size());
  return total;
}

int64_t& KvCache::written(std::byte* page) const { return *reinterpret_cast<int64_t*>(page + shape_.page_bytes()); }

void KvCache::will_write(std::byte* page, int64_t end) { written(page) = std::max(written(page), end); }

Result<std::byte*> KvCache::take_any() {
  std::vector<std::byte*>& from = free_.empty() ? fresh_ : free_;
  if (from.empty()) {
    const int64_t bytes = shape_.page_bytes() + kMarkBytes, count = std::max<int64_t>(1, kSlabBytes / bytes);
    const auto size = static_cast<size_t>(count * bytes);
    MIAO_CHECK_OK(require_memory(size, "more keys and values", "shorten the text, or free some memory"));
    MIAO_TRY(Memory slab, Memory::allocate(size));
    for (int64_t i = count - 1; i >= 0; --i) fresh_.push_back(slab.data() + i * bytes);
    slabs_.push_back(std::move(slab));
  }
  std::byte* const page = from.back();
  from.pop_back();
  ++in_use_;
  return page;
}

namespace {

// Bytes of a page's parts that hold the positions before `end`: all formats put 16 positions into a block.
int64_t part_bytes(const KvShape& shape, int64_t end) {
  const int64_t part = kernels::page_bytes(shape.type, shape.head_dim);
  return part / kernels::kPage * kernels::round_up(end, kernels::kLanes);
}

}  // namespace

Result<std::byte*> KvCache::take() {
  MIAO_TRY(std::byte* const page, take_any());
  const int64_t part = kernels::page_bytes(shape_.type, shape_.head_dim), old = part_bytes(shape_, written(page));
  for (int64_t i = 0; old > 0 && i < 2 * shape_.heads(); ++i) std::memset(page + i * part, 0, static_cast<size_t>(old));
  written(page) = 0;
  return page;
}

Result<std::byte*> KvCache::take_copy(const std::byte* from, int64_t positions) {
  MIAO_TRY(std::byte* const page, take_any());
  const int64_t part = kernels::page_bytes(shape_.type, shape_.head_dim), old = part_bytes(shape_, written(page)),
                copied = part_bytes(shape_, positions);
  for (int64_t i = 0; i < 2 * shape_.heads(); ++i) {
    std::memcpy(page + i * part, from + i * part, static_cast<size_t>(copied));
    if (old > copied) std::memset(page + i * part + copied, 0, static_cast<size_t>(old - copied));
  }
  written(page) = kernels::round_up(positions, kernels::kLanes);
  return page;
}

void KvCache::give(std::byte* page) {
  if (const auto more = more_owners_.find(page); more != more_owners_.end()) {
    if (--more->second == 0) more_owners_.erase(more);
    return;
  }
  free_.push_back(page);
  --in_use_;
}

Sequence& Sequence::operator=(Sequence&& other) noexcept {
  std::swap(cache_, other.cache_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  pages_.swap(other.pages_);
  k_.swap(other.k_);
  v_.swap(other.v_);
  return *this;
}

void Sequence::truncate(int64_t size) {
  MIAO_CHECK(size >= 0);
  size_ = std::min(size_, size);
  const auto needed = static_cast<size_t>((size_ + kernels::kPage - 1) / kernels::kPage);
  while (pages_.size() > needed) {
    cache_->give(pages_.back());
    pages_.pop_back();
  }
}

Result<void> Sequence::reserve(int64_t size) {
  const KvShape& shape = cache_->shape();
  const int64_t heads = shape.heads();
  const int64_t needed = (size + kernels::kPage - 1) / kernels::kPage;
  if (needed > capacity_) {
    const int64_t grown = std::max<int64_t>({needed, 2 * capacity_, 8});
    std::vector<const void*> k(static_cast<size_t>(heads * grown)), v(static_cast<size_t>(heads * grown));
    for (int64_t h = 0; h < heads; ++h) {
      std::copy_n(k_.begin() + h * capacity_, capacity_, k.begin() + h * grown);
      std::copy_n(v_.begin() + h * capacity_, capacity_, v.begin() + h * grown);
    }
    k_.swap(k);
    v_.swap(v);
    capacity_ = grown;
  }
  // The page that holds the end is written to: it has to be this sequence's alone.
  const auto end = static_cast<size_t>(size_ / kernels::kPage);
  if (size > size_ && end < pages_.size() && cache_->shared(pages_[end])) {
    MIAO_TRY(std::byte* const page, cache_->take_copy(pages_[end], size_ % kernels::kPage));
    cache_->give(pages_[end]);
    set_page(static_cast<int64_t>(end), page);
  }
  while (static_cast<int64_t>(pages_.size()) < needed) {
    MIAO_TRY(std::byte * page, cache_->take());
    pages_.push_back(nullptr);
    set_page(static_cast<int64_t>(pages_.size()) - 1, page);
  }
  for (auto i = static_cast<int64_t>(end); size > size_ && i < needed; ++i)
    cache_->will_write(pages_[static_cast<size_t>(i)], std::min(size - i * kernels::kPage, int64_t{kernels::kPage}));
  return {};
}

void Sequence::set_page(int64_t index, std::byte* page) {
  const KvShape& shape = cache_->shape();
  const int64_t part = kernels::page_bytes(shape.type, shape.head_dim);
  pages_[static_cast<size_t>(index)] = page;
  for (int64_t h = 0; h < shape.heads(); ++h) {
    k_[static_cast<size_t>(h * capacity_ + index)] = page + 2 * h * part;
    v_[static_cast<size_t>(h * capacity_ + index)] = page + (2 * h + 1) * part;
  }
}

Sequence Sequence::fork() const {
  Sequence out(*cache_);
  out.size_ = size_;
  out.capacity_ = capacity_;
  out.pages_ = pages_;
  out.k_ = k_;
  out.v_ = v_;
  for (std::byte* page : pages_) cache_->share(page);
  return out;
}

Result<void> Sequence::fill(int64_t size) {
  MIAO_CHECK_OK(reserve(size));
  for (std::byte* page : pages_) std::memset(page, 0, static_cast<size_t>(cache_->shape().page_bytes()));
  advance(size);
  return {};
}

graph::KvPages Sequence::pages() const { return {k_.data(), v_.data(), capacity_}; }

}  // namespace miao::runtime
