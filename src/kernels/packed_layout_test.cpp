// Packed weights are kept on disk under kPackedLayout. When this fails because a layout, or what a format decodes to,
// was changed on purpose: raise kPackedLayout in kernels/table.h, and pin it and the new values, which the failure
// prints.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "kernels/kernels.h"

namespace miao::kernels {
namespace {

constexpr int kPinnedLayout = 2;
constexpr struct {
  DType dtype;
  uint64_t packed;   // checksum of a block
  uint64_t decoded;  // of a row's values, which --dtype fp32 packs
} kPinned[] = {
    {DType::f32, 0xa52657b35583b8d8, 0x9c0df824b981775a},    {DType::f16, 0xaa36d517bee5cf79, 0x973cc994c90b4532},
    {DType::bf16, 0xaa36d517bee5cf79, 0x63c0760f1dfa9aed},   {DType::q4_0, 0xa992bfc16117aca9, 0xba3d4d9f982482ea},
    {DType::q4_1, 0xe313280e97ed7417, 0xbb90f678b1577ffd},   {DType::q5_0, 0x7af82f19ffc31ace, 0xafd00ebd95a85506},
    {DType::q5_1, 0x80b14d515ab4ef72, 0xa6fb84ca83a13f61},   {DType::q8_0, 0xe1b47f38f28a951e, 0x1c75d634f58a91ac},
    {DType::q2_k, 0x72846facc5d3c25f, 0x8aa154583d9a448e},   {DType::q3_k, 0xc685b7996453c161, 0xecb67f038271c6b3},
    {DType::q4_k, 0x29e2dba8a53a75de, 0x3906c0ea78636258},   {DType::q5_k, 0x3fffcd1e4ad53017, 0x65d4ba1712516a6e},
    {DType::q6_k, 0x7ed636650e05042, 0x4943a41c47b131f6},    {DType::iq4_nl, 0xa992bfc16117aca9, 0x49ddeb1c606f85fb},
    {DType::iq4_xs, 0x1d1327bbe48f5b40, 0xa8b88e40ec3a319f}, {DType::mxfp4, 0xd24d8627bb8abeb4, 0x3eec6e529f3e5cf6},
};

TEST(PackedLayout, IsThatOfItsNumberOnEveryIsa) {
  EXPECT_EQ(kPackedLayout, kPinnedLayout);
  const Kernels* tables[static_cast<size_t>(Isa::count)];
  const int isas = available(cpu_features(), tables);
  constexpr int64_t kCols = 768;
  for (size_t d = 0; d < static_cast<size_t>(DType::count); ++d) {
    if (tables[0]->matmul[d].pack == nullptr) continue;
    std::mt19937 random(1);
    const auto bytes = static_cast<size_t>(row_bytes(static_cast<DType>(d), kCols));
    std::vector<std::string> weights(14, std::string(bytes, '\0'));
    for (std::string& row : weights) {
      for (char& byte : row) byte = static_cast<char>(random());
    }
    const void* rows[kLanes] = {};  // the last two are missing, as at the end of a matrix
    for (size_t i = 0; i < weights.size(); ++i) rows[i] = weights[i].data();
    std::vector<float> values(kCols);
    format(static_cast<DType>(d)).decode(rows[0], values.data(), kCols);
    for (float& v : values) v = std::isnan(v) ? 0 : v;  // which NaN it is, is up to the compiler
    const uint64_t decoded = checksum(std::as_bytes(std::span(values)));
    const auto pinned = std::find_if(std::begin(kPinned), std::end(kPinned),
                                     [&](const auto& p) { return p.dtype == static_cast<DType>(d); });
    ASSERT_NE(pinned, std::end(kPinned)) << format(static_cast<DType>(d)).name << " is not pinned";
    for (int i = 0; i < isas; ++i) {
      const MatMul& m = tables[i]->matmul[d];
      const auto size = static_cast<size_t>(m.block_bytes(kCols));
      std::vector<std::byte> memory(size + 64);
      std::byte* const packed = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
      m.pack(rows, kCols, packed);
      EXPECT_TRUE(checksum({packed, size}) == pinned->packed && decoded == pinned->decoded)
          << tables[i]->name << " {DType::" << format(static_cast<DType>(d)).name << std::hex << ", 0x"
          << checksum({packed, size}) << ", 0x" << decoded << "},";
    }
  }
}

}  // namespace
}  // namespace miao::kernels
