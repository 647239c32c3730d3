// Task: work on a thread of its own, so that the thread that Python called from can wait without the GIL and still
// answer Ctrl-C.
//
//   Python's thread    start -> wait [GIL free; every 20 ms: log lines, signals] -> result
//   the task's thread           work(task): polls cancelled(), may give() text; never touches Python
#pragma once

#include <Python.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"

namespace miao::python {

// The GIL is free in its scope. A daemon thread whose scope ends after stop_all() sleeps for good: Python kills a
// thread that asks for the GIL when the interpreter is gone, and C++ frames do not bear that.
class Unlocked {
 public:
  Unlocked();
  ~Unlocked();
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* state_;
};

class Task {
 public:
  using Work = std::function<void(Task&)>;
  explicit Task(Work work);  // raises miao.Busy where the system starts no more threads, miao.Cancelled after stop_all
  ~Task();                   // stops it
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // For the work: the flag to poll, and text for take().
  const std::atomic<bool>* cancelled() const { return &cancelled_; }
  void give(std::string_view text);

  // For Python, with the GIL. Both throw what the work threw, and what a signal's handler raises (KeyboardInterrupt),
  // after stopping the work.
  void wait();                        // until the work is done
  std::optional<std::string> take();  // the next text; none: the work is done and all text taken
  void stop();                        // cancels, and waits until the work has seen it

  // Stops all tasks there are and lets no more begin; for the end of the interpreter.
  static void stop_all();

 private:
  template <class Ready>
  void wait_until(Ready ready);
  Result<void> start(Work work);
  void run(const Work& work);
  void rethrow();

  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> texts_;
  std::exception_ptr failure_;
  bool done_ = false;
  const int process_;
  std::thread thread_;
};

}  // namespace miao::python
