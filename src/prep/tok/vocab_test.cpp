// Hashes of what files hold.
#include "prep/tok/vocab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace miao::prep {
namespace {

// Keys in arithmetic progressions, such as the ids of merges, spread whatever their step and the drawn key are. Of
// 4,096 random keys in as many slots, twenty in one slot is a matter of 1e-15.
TEST(HashKey, ProgressionsSpread) {
  constexpr size_t kSlots = 1 << 12;
  std::vector<HashKey> keys{HashKey::of_process(), {0, 1}, {1, 1ULL << 63}};
  std::mt19937_64 random(1);
  while (keys.size() < 20) keys.push_back({random(), random()});
  for (const HashKey& key : keys)
    for (int shift = 0; shift < 64 - 12; ++shift) {
      std::vector<int> load(kSlots);
      for (uint64_t i = 0; i < kSlots; ++i) ++load[key.of(i << shift) & (kSlots - 1)];
      EXPECT_LT(*std::ranges::max_element(load), 20) << shift << " " << key.a << " " << key.b;
    }
}

// Which texts meet in a slot is another matter for another key: no file can prepare it.
TEST(HashKey, EachKeyPlacesTextsElsewhere) {
  const HashKey one{0x1234567890ABCDEF, 0xFEDCBA0987654321}, other{0x0F1E2D3C4B5A6978, 0x8796A5B4C3D2E1F0};
  size_t together = 0, still = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string a = "piece " + std::to_string(i), b = "other piece " + std::to_string(i * 7);
    const auto meet = [&](const HashKey& key) { return ((key.of(a) ^ key.of(b)) & 15) == 0; };
    together += meet(one);
    still += meet(one) && meet(other);
  }
  EXPECT_GT(together, 60u);
  EXPECT_LT(still, together / 4);
}

}  // namespace
}  // namespace miao::prep
