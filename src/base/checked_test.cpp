#include "base/checked.h"

#include <gtest/gtest.h>

namespace miao {
namespace {

constexpr uint64_t kMax = UINT64_MAX;

TEST(Checked, Add) {
  EXPECT_EQ(checked_add(2, 3), 5u);
  EXPECT_EQ(checked_add(kMax, 0), kMax);
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_FALSE(checked_add(kMax, 1));
  EXPECT_FALSE(checked_add(uint64_t{1} << 63, uint64_t{1} << 63));
}

TEST(Checked, Multiply) {
  EXPECT_EQ(checked_mul(6, 7), 42u);
  EXPECT_EQ(checked_mul(0, kMax), 0u);
  EXPECT_EQ(checked_mul(0xffffffffull, 0x100000001ull), kMax);
  EXPECT_FALSE(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32));
  EXPECT_FALSE(checked_mul(kMax, 2));
}

TEST(Checked, Align) {
  struct Row {
    uint64_t value, align, want;
  };
  for (const Row& row :
       {Row{0, 32, 0}, {1, 32, 32}, {32, 32, 32}, {33, 32, 64}, {7, 1, 7}, {kMax - 31, 32, kMax - 31}}) {
    EXPECT_EQ(checked_align(row.value, row.align), row.want) << row.value << " to " << row.align;
  }
  EXPECT_FALSE(checked_align(kMax - 30, 32));
  EXPECT_FALSE(checked_align(kMax, 2));
}

}  // namespace
}  // namespace miao
