#include "kernels/probe.h"

#include <gtest/gtest.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"

namespace miao::kernels {
namespace {

TEST(Probe, EveryIsaReadsEveryByteAndCounts) {
  const Kernels* tables[static_cast<size_t>(Isa::count)];
  const int n = available(cpu_features(), tables);
  auto memory = Memory::allocate(3 * kProbeBlock);
  ASSERT_TRUE(memory.ok());
  auto* words = memory->as<uint64_t>();
  uint64_t wanted = 0;
  for (int64_t i = 0; i < 3 * kProbeBlock / 8; ++i)
    wanted += words[i] = 0x9e3779b97f4a7c15u * static_cast<uint64_t>(i + 1);
  for (int i = 0; i < n; ++i) {
    SCOPED_TRACE(tables[i]->name);
    const Probe p = probe(tables[i]->isa);
    EXPECT_EQ(p.read(words, 3 * kProbeBlock), wanted);
    float f = 0;
    int32_t s = 0;
    EXPECT_EQ(p.fp32(20, &f), 2 * p.fp32(10, &f));
    EXPECT_GT(f, 0);  // the sums tend to 0.5 / (1 - 0.999)
    EXPECT_EQ(p.int8(20, &s), 2 * p.int8(10, &s));
  }
}

}  // namespace
}  // namespace miao::kernels
