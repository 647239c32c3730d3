#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <numeric>
#include <stdexcept>

#include "base/check.h"

namespace miao {
namespace {

TEST(SplitRange, CoversEachItemOnceInWholeGrains) {
  for (const int64_t n : {0, 1, 5, 16, 17, 100, 4096}) {
    for (const int64_t grain : {1, 4, 16, 64}) {
      for (const int count : {1, 2, 3, 7, 64}) {
        int64_t expected = 0, smallest = INT64_MAX, largest = 0;
        for (int i = 0; i < count; ++i) {
          const Range range = split_range(n, grain, i, count);
          EXPECT_EQ(range.begin, expected) << n << " by " << grain << ", share " << i << " of " << count;
          EXPECT_TRUE(range.end == n || range.end % grain == 0);
          expected = range.end;
          const int64_t grains = (range.size() + grain - 1) / grain;
          smallest = std::min(smallest, grains);
          largest = std::max(largest, grains);
        }
        EXPECT_EQ(expected, n);
        EXPECT_LE(largest - smallest, 1) << n << " by " << grain << " in " << count;
      }
    }
  }
}

TEST(SplitRange, LargeCountsDoNotOverflow) {
  const int64_t n = int64_t{1} << 40;
  EXPECT_EQ(split_range(n, 16, 255, 256).end, n);
  EXPECT_EQ(split_range(n, 16, 128, 256).begin, n / 2);
}

class Pool : public testing::TestWithParam<int> {};

TEST_P(Pool, RunsTheBodyOnceOnEachThread) {
  const auto owner = *ThreadPool::create(GetParam());
  ThreadPool& pool = *owner;
  ASSERT_EQ(pool.threads(), GetParam());
  std::vector<int> calls(static_cast<size_t>(GetParam()));
  std::vector<std::thread::id> ids(calls.size());
  for (int round = 0; round < 200; ++round) {
    pool.run([&](Worker& worker) {
      EXPECT_EQ(worker.count, GetParam());
      EXPECT_EQ(worker.pool, &pool);
      ++calls[static_cast<size_t>(worker.index)];
      ids[static_cast<size_t>(worker.index)] = std::this_thread::get_id();
    });
  }
  for (const int n : calls) EXPECT_EQ(n, 200);
  EXPECT_EQ(ids[0], std::this_thread::get_id());
}

// Each worker writes its own cell, and after the barrier reads all others: a lost barrier shows as an old value.
TEST_P(Pool, BarrierOrdersWritesAndReads) {
  const auto owner = *ThreadPool::create(GetParam());
  ThreadPool& pool = *owner;
  std::vector<int64_t> cells(static_cast<size_t>(GetParam()));
  std::atomic<int> wrong{0};
  for (int run = 0; run < 5; ++run) {
    pool.run([&](Worker& worker) {
      for (int64_t step = 0; step < 50; ++step) {
        cells[static_cast<size_t>(worker.index)] = step;
        worker.barrier();
        for (const int64_t cell : cells) wrong += cell != step;
        worker.barrier();
      }
    });
  }
  EXPECT_EQ(wrong.load(), 0);
}

TEST_P(Pool, SharedCounterHandsOutEachTaskOnce) {
  const auto owner = *ThreadPool::create(GetParam());
  ThreadPool& pool = *owner;
  std::vector<std::atomic<int>> done(1000);
  std::atomic<int64_t> counter{0};
  pool.run([&](Worker& worker) {
    for (int64_t i; (i = worker.next(counter)) < 1000;) ++done[static_cast<size_t>(i)];
  });
  for (const auto& n : done) EXPECT_EQ(n.load(), 1);
}

TEST_P(Pool, AnExceptionInAnyWorkerReachesTheCallerAndThePoolLives) {
  const auto owner = *ThreadPool::create(GetParam());
  ThreadPool& pool = *owner;
  for (int bad = 0; bad < GetParam(); ++bad) {
    try {
      pool.run([&](Worker& worker) {
        if (worker.index == bad) throw std::runtime_error("worker " + std::to_string(bad));
      });
      FAIL() << "nothing thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), "worker " + std::to_string(bad));
    }
    std::atomic<int> sum{0};
    pool.run([&](Worker& worker) { sum += worker.index + 1; });
    EXPECT_EQ(sum.load(), GetParam() * (GetParam() + 1) / 2);
  }
}

TEST_P(Pool, AWorkerThatFailsBeforeABarrierDoesNotHangTheOthers) {
  const auto owner = *ThreadPool::create(GetParam());
  ThreadPool& pool = *owner;
  const int bad = GetParam() - 1;
  EXPECT_THROW(pool.run([&](Worker& worker) {
    if (worker.index == bad) throw std::runtime_error("early");
    worker.barrier();
    worker.barrier();
  }),
               std::runtime_error);
  std::atomic<int> passed{0};
  pool.run([&](Worker& worker) {
    worker.barrier();
    ++passed;
    worker.barrier();
    EXPECT_EQ(passed.load(), GetParam());
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, Pool, testing::Values(1, 2, 3, 5), testing::PrintToStringParamName());

TEST(ThreadPool, SleepingThreadsWakeUp) {
  const auto owner = *ThreadPool::create(3);
  ThreadPool& pool = *owner;
  std::atomic<int> sum{0};
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than threads spin
    pool.run([&](Worker&) { ++sum; });
  }
  EXPECT_EQ(sum.load(), 9);
}

TEST(ThreadPool, AnUnusedPoolEnds) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(ThreadPool::create(4).ok());
}

TEST(ThreadPool, NoThreadsIsABug) { EXPECT_THROW((void)ThreadPool::create(0), Bug); }

TEST(ThreadPool, ThreadsThatTheSystemRefusesAreAnError) {
  pthread_attr_t usual, huge;
  ASSERT_EQ(pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(pthread_attr_init(&huge), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 47), 0);  // more than the address space
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  const auto pool = ThreadPool::create(3);
  pthread_setattr_default_np(&usual);
  ASSERT_FALSE(pool.ok());
  EXPECT_EQ(pool.error().code, Code::busy);
  EXPECT_NE(pool.error().str().find("the system started 1 of 3 threads"), std::string::npos) << pool.error().str();
}

// Workers that outnumber the processors must sleep at a barrier: spinning ones would take each other's time slices.
TEST(ThreadPool, ManyMoreThreadsThanProcessorsStillAdvance) {
  const auto pool = *ThreadPool::create(200);
  std::atomic<int> arrived{0};
  pool->run([&](Worker& worker) {
    for (int i = 0; i < 20; ++i) {
      ++arrived;
      worker.barrier();
    }
  });
  EXPECT_EQ(arrived.load(), 200 * 20);
}

}  // namespace
}  // namespace miao
