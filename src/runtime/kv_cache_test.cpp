#include "runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "kernels/table.h"

namespace miao::runtime {
namespace {

constexpr KvShape kShape{.layers = 3, .kv_heads = 2, .head_dim = 20, .type = kernels::KvType::f16};

TEST(KvCache, Sizes) {
  KvCache cache(kShape);
  EXPECT_EQ(kShape.page_bytes(), 3 * 2 * 2 * 64 * 32 * 2);  // layers, heads, K and V, positions, padded dim, F16
  EXPECT_EQ(cache.bytes_per_token() * 64, kShape.page_bytes());
  EXPECT_EQ(cache.bytes_reserved(), 0);
  EXPECT_EQ(cache.bytes_idle(), 0);
  ASSERT_TRUE(cache.take().ok());
  EXPECT_EQ(cache.bytes_idle(), cache.bytes_reserved() - kShape.page_bytes());
}

TEST(KvCache, PagesFollowTheSequence) {
  KvCache cache(kShape);
  Sequence s(cache);
  ASSERT_TRUE(s.reserve(1).ok());
  EXPECT_EQ(cache.pages_in_use(), 1);
  ASSERT_TRUE(s.reserve(64).ok());
  EXPECT_EQ(cache.pages_in_use(), 1);
  ASSERT_TRUE(s.reserve(64 * 20 + 1).ok());
  EXPECT_EQ(cache.pages_in_use(), 21);
  s.advance(64 * 20 + 1);
  s.truncate(65);
  EXPECT_EQ(cache.pages_in_use(), 2);
  EXPECT_EQ(s.size(), 65);
  s.truncate(1000);
  EXPECT_EQ(s.size(), 65);
  s.clear();
  EXPECT_EQ(cache.pages_in_use(), 0);
}

TEST(KvCache, ForksShareAPageUntilOneWrites) {
  KvCache cache(kShape);
  Sequence a(cache);
  ASSERT_TRUE(a.reserve(70).ok());
  a.advance(70);
  auto* const last = static_cast<std::byte*>(const_cast<void*>(a.pages().k[1]));
  *last = std::byte{7};
  Sequence b = a.fork();
  EXPECT_EQ(b.size(), 70);
  EXPECT_EQ(cache.pages_in_use(), 2);
  EXPECT_EQ(b.pages().k[1], last);
  ASSERT_TRUE(b.reserve(71).ok());  // b takes a copy of the second page; the full one stays common
  EXPECT_EQ(cache.pages_in_use(), 3);
  EXPECT_NE(b.pages().k[1], last);
  EXPECT_EQ(*static_cast<const std::byte*>(b.pages().k[1]), std::byte{7});
  EXPECT_EQ(b.pages().k[0], a.pages().k[0]);
  ASSERT_TRUE(a.reserve(71).ok());  // a is alone with its page again
  EXPECT_EQ(a.pages().k[1], last);
  a.clear();
  EXPECT_EQ(cache.pages_in_use(), 2);
  Sequence c = b.fork();
  b = Sequence(cache);
  EXPECT_EQ(cache.pages_in_use(), 2);
  c.truncate(64);
  ASSERT_TRUE(c.reserve(65).ok());
  EXPECT_EQ(cache.pages_in_use(), 2);
  c.clear();
  EXPECT_EQ(cache.pages_in_use(), 0);
}

TEST(KvCache, EveryPartHasItsOwnMemory) {
  KvCache cache(kShape);
  Sequence a(cache);
  Sequence b(cache);
  const int64_t part = kernels::page_bytes(kShape.type, kShape.head_dim);
  std::set<const void*> parts;
  for (Sequence* s : {&a, &b}) {
    ASSERT_TRUE(s->reserve(64 * 3).ok());
    ASSERT_TRUE(s->reserve(64 * 11).ok());  // the pointer arrays grow and keep what they hold
    const graph::KvPages pages = s->pages();
    for (int64_t h = 0; h < 6; ++h) {
      for (int64_t p = 0; p < 11; ++p) {
        for (const void* page : {pages.k[h * pages.capacity + p], pages.v[h * pages.capacity + p]}) {
          EXPECT_TRUE(parts.insert(page).second);
          EXPECT_EQ(reinterpret_cast<uintptr_t>(page) % 64, 0u);
          std::memset(const_cast<void*>(page), 0xff, static_cast<size_t>(part));
        }
      }
    }
  }
  EXPECT_EQ(parts.size(), 2u * 6 * 11 * 2);
}

// A copy has the groups of 16 positions that hold something, and zeros where another sequence had written.
TEST(KvCache, CopiesAreOfWhatWasWritten) {
  KvCache cache(kShape);
  const auto size = static_cast<size_t>(kShape.page_bytes());
  std::byte* const from = *cache.take();
  std::memset(from, 5, size);
  cache.will_write(from, 64);
  for (const int64_t positions : {0, 1, 16, 17, 63}) {
    std::byte* const used = *cache.take();
    std::memset(used, 0x7f, size);
    cache.will_write(used, 64);
    cache.give(used);
    std::byte* const copy = *cache.take_copy(from, positions);
    EXPECT_EQ(copy, used);
    const int64_t part = kernels::page_bytes(kShape.type, kShape.head_dim);
    for (int64_t i = 0; i < kShape.page_bytes(); ++i) {
      const bool there = i % part < part / 64 * kernels::round_up(positions, 16);
      ASSERT_EQ(copy[i], there ? std::byte{5} : std::byte{0}) << positions << " at " << i;
    }
    cache.give(copy);
    EXPECT_EQ(std::count(*cache.take(), copy + size, std::byte{0}), kShape.page_bytes());
    cache.give(copy);
  }
}

TEST(KvCache, HandedOutPagesAreZero) {
  KvCache cache(kShape);
  const auto size = static_cast<size_t>(kShape.page_bytes());
  const std::vector<std::byte> zero(size);
  for (int round = 0; round < 2; ++round) {
    std::vector<std::byte*> pages;
    for (int i = 0; i < 5; ++i) {
      auto page = cache.take();
      ASSERT_TRUE(page.ok());
      EXPECT_EQ(std::memcmp(*page, zero.data(), size), 0);
      std::memset(*page, 0x7f, size);
      cache.will_write(*page, 64);
      pages.push_back(*page);
    }
    const int64_t reserved = cache.bytes_reserved();
    for (std::byte* page : pages) cache.give(page);
    EXPECT_EQ(cache.bytes_reserved(), reserved);
  }
}

TEST(KvCache, SequencesMove) {
  KvCache cache(kShape);
  {
    Sequence a(cache);
    ASSERT_TRUE(a.reserve(100).ok());
    a.advance(100);
    Sequence b = std::move(a);
    EXPECT_EQ(b.size(), 100);
    EXPECT_EQ(cache.pages_in_use(), 2);
    Sequence c(cache);
    ASSERT_TRUE(c.reserve(10).ok());
    c = std::move(b);
    EXPECT_EQ(c.size(), 100);
  }
  EXPECT_EQ(cache.pages_in_use(), 0);
}

TEST(KvCache, PagesThatDoNotFitAreRefused) {
  KvCache cache({.layers = 40000, .kv_heads = 1000, .head_dim = 1024});  // ten terabytes a page
  const auto page = cache.take();
  ASSERT_FALSE(page.ok());
  EXPECT_EQ(page.error().code, Code::out_of_memory);
  EXPECT_NE(page.error().message.find("MiB are free; shorten the text"), std::string::npos) << page.error().message;
  EXPECT_EQ(cache.bytes_reserved(), 0);
}

}  // namespace
}  // namespace miao::runtime
