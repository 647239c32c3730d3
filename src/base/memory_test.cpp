#include "base/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace miao {
namespace {

TEST(Memory, IsZeroedAlignedAndWritable) {
  for (const size_t bytes :
       {size_t{1}, size_t{4096}, size_t{4097}, size_t{1} << 20, (size_t{2} << 20) + 1, size_t{5} << 20}) {
    auto memory = Memory::allocate(bytes);
    ASSERT_TRUE(memory.ok()) << memory.error().str();
    EXPECT_EQ(memory->size(), bytes);
    const size_t align = bytes >= (size_t{2} << 20) ? size_t{2} << 20 : 4096;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % align, 0u) << bytes;
    EXPECT_TRUE(std::all_of(memory->data(), memory->data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
    std::fill_n(memory->as<uint8_t>(), bytes, uint8_t{0xab});
    EXPECT_EQ(*memory->as<uint8_t>(bytes - 1), 0xab);
  }
}

TEST(Memory, NothingIsAnEmptyBlock) {
  auto memory = Memory::allocate(0);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->size(), 0u);
  EXPECT_EQ(memory->data(), nullptr);
}

TEST(Memory, MovesHandOverTheBlock) {
  Memory a = *Memory::allocate(100);
  std::byte* const data = a.data();
  *a.as<int>(8) = 42;
  Memory b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(b.size(), 100u);
  Memory c;
  c = std::move(b);
  EXPECT_EQ(*c.as<int>(8), 42);
}

TEST(Memory, TooMuchIsAnErrorThatNamesTheSize) {
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX - 4095, SIZE_MAX / 2}) {
    auto memory = Memory::allocate(bytes);
    ASSERT_FALSE(memory.ok());
    EXPECT_EQ(memory.error().code, Code::out_of_memory);
    EXPECT_NE(memory.error().message.find(std::to_string(bytes)), std::string::npos) << memory.error().str();
  }
}

TEST(Memory, WhatDoesNotFitIsToldWithTheNumbers) {
  EXPECT_TRUE(require_memory(1 << 20, "buffers", "free some").ok());
  const auto refused = require_memory(uint64_t{1} << 60, "buffers", "free some");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::out_of_memory);
  EXPECT_TRUE(refused.error().message.starts_with("buffers need 1099511627776 MiB and "));
  EXPECT_TRUE(refused.error().message.ends_with(" MiB are free; free some")) << refused.error().message;
}

}  // namespace
}  // namespace miao
