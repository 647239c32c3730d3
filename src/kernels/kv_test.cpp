// Formats of keys and values: names and sizes, and how rows of heads are stored as codes.
#include "kernels/kv.h"

#include <gtest/gtest.h>

#include "kernels/generic/test_kv.h"

namespace miao::kernels {
namespace {

constexpr KvType kCoded[] = {KvType::int8, KvType::int4};

TEST(Kv, Names) {
  for (int i = 0; i < static_cast<int>(KvType::count); ++i) {
    const auto type = static_cast<KvType>(i);
    EXPECT_EQ(kv_from_name(kv_format(type).name), type);
  }
  EXPECT_EQ(kv_from_name("int8"), KvType::int8);
  EXPECT_EQ(kv_from_name("fp32"), KvType::f32);
  for (const char* name : {"", "f1", "f166", "q8_0", "int"}) EXPECT_FALSE(kv_from_name(name)) << name;
}

TEST(Kv, Sizes) {
  EXPECT_EQ(page_bytes(KvType::f32, 64), 64 * 64 * 4);
  EXPECT_EQ(page_bytes(KvType::bf16, 20), 64 * 32 * 2);
  EXPECT_EQ(page_bytes(KvType::int8, 64), 64 * 68);  // 64 codes and two scales a position
  EXPECT_EQ(page_bytes(KvType::int4, 64), 64 * 36);
  EXPECT_EQ(page_bytes(KvType::int8, 128), 64 * 136);
  EXPECT_EQ(page_bytes(KvType::int4, 128), 64 * 72);
  EXPECT_EQ(page_bytes(KvType::int8, 80), 4 * 1664);  // three groups; blocks end with whole cache lines
  for (int i = 0; i < static_cast<int>(KvType::count); ++i) {
    for (int d : {1, 20, 64, 80, 96, 112, 128, 256}) EXPECT_EQ(page_bytes(static_cast<KvType>(i), d) % 256, 0);
  }
}

TEST(Kv, RotatesByWholeBlocks) {
  const std::pair<int, int> blocks[] = {{1, 1},   {20, 4},  {48, 16},   {64, 64},
                                        {80, 16}, {96, 32}, {128, 128}, {256, 128}};
  for (const auto& [head_dim, block] : blocks) EXPECT_EQ(kv_rotation(head_dim), block) << head_dim;
}

// The code of dimension i of the key in a slot, or of the value, as kv_codes.h draws pages; and the scale of its group.
int code_of(KvType kv, const uint8_t* page, int head_dim, int slot, int i, bool key) {
  const uint8_t* const block = page + slot / 16 * page_bytes(kv, head_dim) / 4;
  const int lane = slot % 16, group = i / 32, in = i % 32, groups = static_cast<int>(kv_dim(kv, head_dim)) / 32;
  if (kv == KvType::int8) {
    if (key) return block[group * 512 + in / 4 * 64 + lane * 4 + in % 4] - 128;
    return static_cast<int8_t>(block[lane * groups * 32 + i]);
  }
  if (key) return (block[group * 256 + in / 8 * 64 + lane * 4 + in % 4] >> (in / 4 % 2 * 4) & 15) - 8;
  return (block[lane * groups * 16 + group * 16 + in % 16] >> in / 16 * 4 & 15) - 8;
}
float scale_of(KvType kv, const uint8_t* page, int head_dim, int slot, int group) {
  const uint8_t* const block = page + slot / 16 * page_bytes(kv, head_dim) / 4;
  const int64_t codes = kv_dim(kv, head_dim) * 16 * kv_format(kv).bits / 8;
  uint16_t bits;
  std::memcpy(&bits, block + codes + (group * 16 + slot % 16) * 2, 2);
  return bf16_to_f32(bits);
}

TEST(Kv, StoredCodesLieWhereTheLayoutSays) {
  for (const Kernels* table : tables()) {
    for (KvType kv : kCoded) {
      for (int d : {4, 20, 48, 64, 80, 96, 128, 256}) {
        Aligned k(static_cast<size_t>(page_bytes(kv, d))), v(static_cast<size_t>(page_bytes(kv, d)));
        for (int slot : {0, 37, 38, 63}) {
          const auto row = random_floats(static_cast<size_t>(d), static_cast<uint32_t>(d + slot));
          table->kv_of(kv).store_k(k.as(), slot, row.data(), d);
          table->kv_of(kv).store_v(v.as(), slot, row.data(), d);
        }
        for (int slot : {0, 37, 38, 63}) {
          auto row = random_floats(static_cast<size_t>(d), static_cast<uint32_t>(d + slot));
          hadamard(row, kv_rotation(d));
          for (int first = 0; first < d; first += 32) {
            const int count = std::min(32, d - first);
            const Rounded want = rounded(std::span(row).subspan(static_cast<size_t>(first), static_cast<size_t>(count)),
                                         kv_format(kv).bits, false);
            for (bool key : {true, false}) {
              const auto* const page = (key ? k : v).as<uint8_t>();
              ASSERT_EQ(scale_of(kv, page, d, slot, first / 32), want.scale) << table->name << " " << d;
              for (int i = 0; i < count; ++i)
                ASSERT_EQ(code_of(kv, page, d, slot, first + i, key), want.codes[static_cast<size_t>(i)])
                    << table->name << " " << kv_format(kv).name << " head_dim=" << d << " slot=" << slot << " i=" << i;
            }
          }
        }
      }
    }
  }
}

// Rounding costs at most half a step of the group, or a whole one at the end that INT4 has no code for.
TEST(Kv, CodesAreNearTheValues) {
  for (int d : {64, 96, 128}) {
    const auto row = random_floats(static_cast<size_t>(d), 5);
    double square = 0, error8 = 0, error4 = 0;
    const auto eight = stored_row(KvType::int8, row), four = stored_row(KvType::int4, row);
    for (size_t i = 0; i < row.size(); ++i) {
      square += double{row[i]} * row[i];
      error8 += (eight[i] - row[i]) * (eight[i] - row[i]);
      error4 += (four[i] - row[i]) * (four[i] - row[i]);
    }
    EXPECT_LT(error8 / square, 6e-5) << d;
    EXPECT_LT(error4 / square, 0.012) << d;
    EXPECT_GT(error4 / square, 1e-3) << d;
  }
}

// One value far above the others takes no more of them than its share: without the rotation INT4 would lose all.
TEST(Kv, ALargeValueDoesNotHideTheOthers) {
  std::vector<float> row = random_floats(64, 6, 1.0f);
  row[9] = 60.0f;
  const auto got = stored_row(KvType::int4, row);
  double error = 0, square = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    if (i == 9) continue;
    error += (got[i] - row[i]) * (got[i] - row[i]);
    square += double{row[i]} * row[i];
  }
  EXPECT_LT(error / square, 0.3);
}

TEST(Kv, SpecialValues) {
  for (const Kernels* table : tables()) {
    for (KvType kv : kCoded) {
      const int d = 64;
      for (float special : {0.0f, -0.0f, 1e-38f, 3e38f, INFINITY, -INFINITY, NAN}) {
        std::vector<float> row(64, 0.0f);
        row[40] = special;
        Aligned k(static_cast<size_t>(page_bytes(kv, d)));
        table->kv_of(kv).store_k(k.as(), 3, row.data(), d);
        const float scale = scale_of(kv, k.as<uint8_t>(), d, 3, 1);
        const int code = code_of(kv, k.as<uint8_t>(), d, 3, 40, true);
        if (std::isfinite(special)) {
          EXPECT_EQ(scale == 0.0f, std::fabs(special) < 1e-30f) << special;
          EXPECT_NEAR(scale * static_cast<float>(code) / 3e38f, special / 8 / 3e38f, 2e-3) << special;
        } else {
          EXPECT_TRUE(std::isnan(scale)) << special;
          EXPECT_EQ(code, 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace miao::kernels
