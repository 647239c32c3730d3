// Bytes and meaning of blocks: what pack() stores, the decoder reads as scale * level(code) + offset.
#include "compress/rounding/family.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/cpu.h"
#include "compress/rounding/search.h"

namespace miao::compress {
namespace {

TEST(RoundingFamily, DecodersReadWhatIsPacked) {
  std::mt19937 random(1);
  int families = 0;
  for (const Format& format : all_formats()) {
    const Family* f = family(format.dtype);
    if (!f) continue;
    ++families;
    ASSERT_EQ(f->block, format.block) << format.name;
    for (int repeat = 0; repeat < 20; ++repeat) {
      const auto between = [&](int lo, int hi) {
        return lo + static_cast<int>(random() % static_cast<unsigned>(hi - lo + 1));
      };
      Scales scales;
      scales.d = static_cast<uint16_t>(f->stored == Stored::power_of_two
                                           ? between(0, 254)
                                           : f32_to_f16(static_cast<float>(between(-999, 999)) / 500));
      if (f->offset) scales.dmin = f32_to_f16(static_cast<float>(between(0, 999)) / 700);
      for (int g = 0; g < groups_of(*f); ++g) {
        scales.scale_code[g] = static_cast<int8_t>(between(f->scale_lo, f->scale_hi));
        scales.min_code[g] = static_cast<uint8_t>(between(0, f->min_hi));
      }
      decode_scales(*f, scales);
      std::vector<int8_t> codes(static_cast<size_t>(f->block));
      for (int8_t& c : codes) c = static_cast<int8_t>(between(f->lo, f->hi));
      std::vector<std::byte> bytes(static_cast<size_t>(format.bytes) + 1);
      f->pack(scales, codes.data(), bytes.data() + 1);
      std::vector<float> got(codes.size());
      format.decode(bytes.data() + 1, got.data(), f->block);
      for (size_t i = 0; i < codes.size(); ++i) {
        ASSERT_EQ(got[i], code_value(*f, scales, static_cast<int>(i) / f->group, codes[i]))
            << format.name << " value " << i;
      }
    }
  }
  EXPECT_EQ(families, 13);
}

TEST(RoundingFamily, NearestCodeIsNearest) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (const Format& format : all_formats()) {
    const Family* f = family(format.dtype);
    if (!f) continue;
    std::vector<float> x(static_cast<size_t>(f->block)), w(x.size(), 1.0f);
    for (float& v : x) v = normal(random);
    Scales scales;
    search_scales(*f, x.data(), w.data(), nullptr, 1, &scales);
    std::vector<int8_t> codes(x.size());
    nearest_codes(*f, scales, x.data(), codes.data());
    double error = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const int g = static_cast<int>(i) / f->group;
      EXPECT_EQ(codes[i], nearest_code(*f, scales, g, x[i])) << format.name;
      const float distance = std::abs(x[i] - code_value(*f, scales, g, codes[i]));
      error += static_cast<double>(distance) * distance;
      for (int code = f->lo; code <= f->hi; ++code) {
        EXPECT_LE(distance, std::abs(x[i] - code_value(*f, scales, g, code)) * 1.00001f)
            << format.name << " value " << i;
      }
    }
    EXPECT_NEAR(block_error(*f, scales, x.data(), w.data()), error, 1e-5 * error + 1e-9) << format.name;
  }
}

TEST(RoundingFamily, InstructionSetsFindTheSameScales) {
  if (!cpu_features().avx2) GTEST_SKIP() << "this processor has no AVX2";
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const Format& format : all_formats()) {
    const Family* f = family(format.dtype);
    if (!f) continue;
    for (int repeat = 0; repeat < 50; ++repeat) {
      const int blocks = 1 + repeat % kSearchBlocks;  // as many as are searched side by side, or fewer
      std::vector<float> x(static_cast<size_t>(f->block * blocks)), w(x.size());
      for (float& v : x) v = normal(random) * std::exp(2 * normal(random));
      for (float& v : w) v = std::exp(normal(random));
      for (bool importance : {false, true}) {
        Scales a[kSearchBlocks], b[kSearchBlocks];
        search_scales_generic(*f, x.data(), w.data(), importance ? w.data() : nullptr, blocks, a);
        search_scales_avx2(*f, x.data(), w.data(), importance ? w.data() : nullptr, blocks, b);
        for (int i = 0; i < blocks; ++i) {
          ASSERT_EQ(a[i].d, b[i].d) << format.name;
          ASSERT_EQ(a[i].dmin, b[i].dmin) << format.name;
          ASSERT_EQ(std::memcmp(a[i].scale_code, b[i].scale_code, sizeof(a[i].scale_code)), 0) << format.name;
          ASSERT_EQ(std::memcmp(a[i].min_code, b[i].min_code, sizeof(a[i].min_code)), 0) << format.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace miao::compress
