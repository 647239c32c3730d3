// A fixed pool of pinned threads that run one parallel region at a time.
//
// pool->run(f): f(worker) runs on every thread, the caller being worker 0. Inside, worker.barrier() waits for all (it
// spins, then sleeps on a futex), worker.split(n, grain) is this worker's contiguous share of n items. An exception in
// any worker is rethrown by run() at the join.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/result.h"

namespace miao {

class ThreadPool;

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
};

// Contiguous share `index` of `count` of n items, cut at multiples of `grain`.
Range split_range(int64_t n, int64_t grain, int index, int count);

struct Worker {
  int index;  // 0 .. count-1
  int count;
  ThreadPool* pool;

  void barrier() const;
  Range split(int64_t n, int64_t grain = 1) const { return split_range(n, grain, index, count); }
  // Next task number of a shared counter (dynamic scheduling); reset by worker 0 between barriers.
  int64_t next(std::atomic<int64_t>& counter) const { return counter.fetch_add(1, std::memory_order_relaxed); }
};

class ThreadPool {
 public:
  // At least 1. Error: busy, where the system starts no more threads.
  static Result<std::unique_ptr<ThreadPool>> create(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(threads_.size()) + 1; }
  void run(const std::function<void(Worker&)>& body);

 private:
  friend struct Worker;
  ThreadPool() = default;
  void loop(int index, int count);
  void barrier();
  void fail();
  void wait_change(std::atomic<uint32_t>& word, uint32_t old) const;

  std::vector<std::thread> threads_;
  int spins_ = 0;
  const std::function<void(Worker&)>* body_ = nullptr;
  std::exception_ptr failure_;
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<uint32_t> running_{0};
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};  // changes when a barrier opens, and when a worker fails
  std::atomic<bool> failed_{false};
  std::atomic<bool> stop_{false};
};

}  // namespace miao
