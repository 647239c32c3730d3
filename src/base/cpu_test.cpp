#include "base/cpu.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstring>

#include "base/memory.h"

namespace miao {
namespace {

TEST(CpuFeatures, AWiderSetImpliesTheNarrowerOnes) {
  const CpuFeatures& cpu = cpu_features();
  EXPECT_TRUE(!cpu.amx || cpu.avx512_vnni);
  EXPECT_TRUE(!cpu.avx512_vnni || cpu.avx2);
  EXPECT_EQ(&cpu, &cpu_features());
  EXPECT_EQ(cpu.brand.find('\0'), std::string::npos);
#if defined(__x86_64__)
  EXPECT_EQ(cpu.avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
#endif
}

TEST(CpuLimits, DefaultThreadsAreTheSmallestLimit) {
  struct Row {
    int cores, cpuset;
    double quota;
    int want;
  };
  for (const Row& row :
       {Row{8, 16, 0, 8}, {8, 4, 0, 4}, {8, 16, 3.9, 3}, {8, 16, 0.5, 1}, {8, 16, 100, 8}, {1, 1, 0, 1}}) {
    const CpuLimits limits{.physical_cores = row.cores, .cpuset = row.cpuset, .quota = row.quota};
    EXPECT_EQ(limits.threads(), row.want) << row.cores << " cores, " << row.cpuset << " usable, quota " << row.quota;
  }
}

TEST(CpuLimits, AgreeWithTheAffinityMask) {
  cpu_set_t mask;
  ASSERT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
  const CpuLimits limits = cpu_limits();
  EXPECT_EQ(limits.cpuset, CPU_COUNT(&mask));
  EXPECT_GE(limits.physical_cores, 1);
  EXPECT_LE(limits.physical_cores, limits.cpuset);
  EXPECT_GT(limits.memory_total, uint64_t{64} << 20);
  EXPECT_GT(limits.memory_free, 0u);
  EXPECT_LE(limits.memory_free, limits.memory_total);

  cpu_set_t one = mask;
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask) && seen++ > 0) CPU_CLR(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  const CpuLimits pinned = cpu_limits();
  ASSERT_EQ(sched_setaffinity(0, sizeof mask, &mask), 0);
  EXPECT_EQ(pinned.cpuset, 1);
  EXPECT_EQ(pinned.threads(), 1);
}

TEST(CpuLimits, PeakMemoryCountsTouchedPages) {
  const uint64_t before = peak_rss_bytes();
  ASSERT_GT(before, 0u);
  constexpr size_t kBytes = size_t{256} << 20;  // more than any other test of this program holds at once
  {
    Memory block = *Memory::allocate(kBytes);
    std::memset(block.data(), 1, kBytes);
  }
  EXPECT_GE(peak_rss_bytes(), kBytes);
}

}  // namespace
}  // namespace miao
