#include "measure/kernel_bench.h"

#include <gtest/gtest.h>

namespace miao::measure {
namespace {

TEST(SlowKernelBench, EveryFormatOfEveryIsaHasSpeeds) {
  const auto owner = *ThreadPool::create(2);
  ThreadPool& pool = *owner;
  int seen = 0;
  const auto rows = bench_kernels(pool, "", 0.0001, [&](const KernelRow&) { ++seen; });
  ASSERT_TRUE(rows.ok()) << rows.error().str();
  EXPECT_EQ(static_cast<int>(rows->size()), seen);
  EXPECT_GE(rows->size(), 16u);
  for (const KernelRow& row : *rows) {
    EXPECT_GT(row.gemv_bytes_per_second, 0) << row.gemv;
    EXPECT_GT(row.gemm_ops_per_second, 0) << row.gemm;
  }
}

TEST(KernelBench, UnknownIsa) {
  const auto owner = *ThreadPool::create(1);
  ThreadPool& pool = *owner;
  EXPECT_FALSE(bench_kernels(pool, "sse9", 0.001).ok());
}

}  // namespace
}  // namespace miao::measure
