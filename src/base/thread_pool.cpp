// Threads wait for work by spinning for some microseconds, then on a futex (std::atomic::wait): a token step finds them
// awake, an idle process costs nothing.
#include "base/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <string>
#include <system_error>

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

// The processors that this process may run on; 0 if the system does not tell.
int processors(cpu_set_t& mask) { return sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 0; }

// Pins to the index-th processor where the pool has all of them to itself. With fewer threads than processors the
// scheduler chooses better: two processes that pin from the same end would share processors while others idle.
void pin(int index, int count) {
  cpu_set_t mask;
  if (processors(mask) != count) return;
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

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int threads) {
  MIAO_CHECK(threads >= 1);
  std::unique_ptr<ThreadPool> pool(new ThreadPool);
  cpu_set_t mask;
  // Who waits on a processor that another worker needs must not spin.
  pool->spins_ = threads <= processors(mask) ? kSpins : 0;
  pool->threads_.reserve(static_cast<size_t>(threads) - 1);
  for (int i = 1; i < threads; ++i) {
    try {
      pool->threads_.emplace_back([self = pool.get(), i, threads] {
        pin(i, threads);
        self->loop(i, threads);
      });
    } catch (const std::system_error& e) {
      return Error{Code::busy,
                   "the system started " + std::to_string(i) + " of " + std::to_string(threads) + " threads (" +
                       e.code().message() + "); use fewer (-t), or raise the limit of processes (ulimit -u, pids.max)",
                   {}};
    }
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (auto& t : threads_) t.join();
}

// Returns once word != old.
void ThreadPool::wait_change(std::atomic<uint32_t>& word, uint32_t old) const {
  for (int i = 0; i < spins_; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    relax();
  }
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

// Keeps the first exception, and opens the barriers: the failed worker will never arrive at them.
void ThreadPool::fail() {
  if (!failed_.exchange(true)) failure_ = std::current_exception();
  phase_.fetch_add(1, std::memory_order_release);
  phase_.notify_all();
}

void ThreadPool::loop(int index, int count) {
  uint32_t seen = 0;
  for (;;) {
    wait_change(generation_, seen);
    seen = generation_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    Worker worker{index, count, this};
    try {
      (*body_)(worker);
    } catch (...) {
      fail();
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
    fail();
  }
  for (uint32_t left; (left = running_.load(std::memory_order_acquire)) != 0;) wait_change(running_, left);
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::barrier() {
  const auto count = static_cast<uint32_t>(threads());
  if (count == 1) return;
  // In this order: a failure that is not seen here changes the phase after it was read, which ends the wait below.
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (failed_.load()) throw Bug("another worker failed");
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    return;
  }
  wait_change(phase_, phase);
  if (failed_.load()) throw Bug("another worker failed");
}

}  // namespace miao
