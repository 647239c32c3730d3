// Threads wait for work by spinning for some microseconds, then on a futex (std::atomic::wait): a token step finds them
// awake, an idle process costs nothing.
#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/check.h"

namespace miao {

namespace {

constexpr int kSpins = 20000;  // about 0.3 ms: longer than the gap between two token steps

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Returns once *word != old.
void wait_change(std::atomic<uint32_t>& word, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    relax();
  }
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

// Pins to the index-th processor of the process's mask when the pool covers no more threads than it has.
void pin(int index, int count) {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0 || CPU_COUNT(&mask) < count) return;
  int seen = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask) && seen++ == index) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      pthread_setaffinity_np(pthread_self(), sizeof one, &one);
      return;
    }
  }
}

}  // namespace

Range split_range(int64_t n, int64_t grain, int index, int count) {
  const int64_t units = (n + grain - 1) / grain;
  const int64_t begin = units * index / count * grain;
  const int64_t end = units * (index + 1) / count * grain;
  return {begin < n ? begin : n, end < n ? end : n};
}

void Worker::barrier() const { pool->barrier(); }

ThreadPool::ThreadPool(int threads) {
  MIAO_CHECK(threads >= 1);
  threads_.reserve(static_cast<size_t>(threads) - 1);
  for (int i = 1; i < threads; ++i) {
    threads_.emplace_back([this, i, threads] {
      pin(i, threads);
      loop(i);
    });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (auto& t : threads_) t.join();
}

void ThreadPool::loop(int index) {
  uint32_t seen = 0;
  for (;;) {
    wait_change(generation_, seen);
    seen = generation_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    Worker worker{index, threads(), this};
    try {
      (*body_)(worker);
    } catch (...) {
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_all();
  }
}

void ThreadPool::run(const std::function<void(Worker&)>& body) {
  body_ = &body;
  failure_ = nullptr;
  failed_.store(false);
  arrived_.store(0);
  running_.store(static_cast<uint32_t>(threads_.size()), std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  Worker self{0, threads(), this};
  try {
    body(self);
  } catch (...) {
    if (!failed_.exchange(true)) failure_ = std::current_exception();
  }
  for (uint32_t left; (left = running_.load(std::memory_order_acquire)) != 0;) wait_change(running_, left);
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::barrier() {
  const auto count = static_cast<uint32_t>(threads());
  if (count == 1) return;
  const uint32_t sense = sense_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    sense_.store(sense + 1, std::memory_order_release);
    sense_.notify_all();
    return;
  }
  // A worker that failed never arrives: the others leave by the failure flag, and run() rethrows.
  for (int i = 0; sense_.load(std::memory_order_acquire) == sense; ++i) {
    if (i < kSpins) {
      relax();
    } else {
      if (failed_.load()) throw Bug("another worker failed");
      std::this_thread::yield();
    }
  }
}

}  // namespace miao
