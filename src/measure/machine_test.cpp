#include "measure/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace miao::measure {
namespace {

TEST(Machine, ProbesGivePlausibleFigures) {
  const auto machine = probe_machine({.max_threads = 2, .seconds = 0.01, .largest = int64_t{4} << 20});
  ASSERT_TRUE(machine.ok());
  EXPECT_EQ(machine->isas.front(), "scalar");
  ASSERT_EQ(machine->peaks.size(), 2u);
  ASSERT_EQ(machine->read.size(), 4u);
  for (const PeakPoint& p : machine->peaks) {
    EXPECT_GT(p.fp32, 0);
    EXPECT_GT(p.int8, 0);
    EXPECT_EQ(p.amx > 0, cpu_features().amx);
    EXPECT_GT(p.barrier, 0);
  }
  for (const ReadPoint& p : machine->read) {
    EXPECT_GT(p.bytes_per_second, 0);
    EXPECT_LT(p.bytes_per_second, 1e13);  // a read that is optimised away would be faster
  }
  EXPECT_GT(machine->best_read(1, 1 << 20), 0);
  EXPECT_EQ(machine->best_read(1, 1 << 30), 0);
  EXPECT_EQ(machine->best_read(7, 1), 0);
}

TEST(Machine, PeakMemoryCountsAnew) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer holds freed memory back";
#endif
  { std::vector<char> large(size_t{64} << 20, 1); }
  const uint64_t before = peak_rss_bytes();
  reset_peak_rss();
  EXPECT_LT(peak_rss_bytes(), before - (32 << 20));
}

TEST(Machine, BandwidthIsCachedUntilTheCacheIsOfAnotherMachine) {
  const auto folder = std::filesystem::temp_directory_path() / ("miao_machine_" + std::to_string(getpid()));
  ASSERT_EQ(setenv("MIAO_CACHE", folder.c_str(), 1), 0);
  const auto text = [&] {
    std::ostringstream out;
    out << std::ifstream(folder / "bandwidth.json").rdbuf();
    return out.str();
  };
  const auto owner = *ThreadPool::create(1);
  ThreadPool& pool = *owner;
  const auto first = cached_read_bandwidth(pool, 1 << 20);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*cached_read_bandwidth(pool, 1 << 19), *first);  // the same power of two
  EXPECT_EQ(*cached_read_bandwidth(pool, 1 << 20, *first / 2), *first);
  EXPECT_GE(*cached_read_bandwidth(pool, 1 << 20, *first * 100), *first * 100);
  EXPECT_GE(*cached_read_bandwidth(pool, 1 << 20), *first * 100);
  const std::string good = text();
  EXPECT_NE(good.find("1 threads, 1 MiB"), std::string::npos);
  for (const std::string& bad : {std::string("{"), std::string("[1]"), std::string("{\"machine\": 5}"),
                                 std::string("{\"machine\": \"other\", \"1 threads, 1 MiB\": 5}")}) {
    std::ofstream(folder / "bandwidth.json") << bad;
    const auto again = cached_read_bandwidth(pool, 1 << 20);
    ASSERT_TRUE(again.ok());
    EXPECT_GT(*again, 5);
  }
  std::filesystem::remove_all(folder);
  ASSERT_EQ(setenv("MIAO_CACHE", "/proc/nowhere", 1), 0);
  EXPECT_TRUE(cached_read_bandwidth(pool, 1 << 20).ok());
  unsetenv("MIAO_CACHE");
}

}  // namespace
}  // namespace miao::measure
