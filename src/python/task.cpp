#include "python/task.h"

#include <unistd.h>

#include <chrono>
#include <set>
#include <system_error>
#include <utility>

#include "python/errors.h"
#include "python/log.h"

namespace miao::python {

namespace {

constexpr auto kSignalPoll = std::chrono::milliseconds(20);

// Never destroyed: tasks may outlive the static objects of this library.
struct Registry {
  std::mutex mutex;
  std::condition_variable changed;
  std::set<Task*> tasks;
  int returning = 0;     // threads that ask for the GIL
  bool leaving = false;  // set with the GIL, by the thread that ends the interpreter
  std::thread::id leaver;
  const int process = ::getpid();
};
Registry& registry() {
  static auto* const all = new Registry;
  return *all;
}

}  // namespace

Unlocked::Unlocked() : state_(PyEval_SaveThread()) {}

Unlocked::~Unlocked() {
  Registry& all = registry();
  const auto left_behind = [&] { return all.leaving && all.leaver != std::this_thread::get_id(); };
  std::unique_lock lock(all.mutex);
  if (!left_behind()) {
    ++all.returning;
    lock.unlock();
    PyEval_RestoreThread(state_);
    lock.lock();
    --all.returning;
    all.changed.notify_all();
    if (!left_behind()) return;
    lock.unlock();
    PyEval_SaveThread();
  } else {
    lock.unlock();
  }
  for (;;) ::pause();
}

// Nothing is raised under a lock: that runs Python, and so perhaps another thread that waits for it with the GIL.
Task::Task(Work work) : process_(::getpid()) {
  Registry& all = registry();
  Result<void> started = Error{Code::cancelled, "the interpreter is about to end", {}};
  if (std::unique_lock lock(all.mutex); !all.leaving) {
    started = start(std::move(work));
    if (started.ok()) all.tasks.insert(this);
  }
  value(std::move(started));
}

Result<void> Task::start(Work work) {
  try {
    thread_ = std::thread([this, work = std::move(work)] { run(work); });
  } catch (const std::system_error& error) {
    return Error{Code::busy,
                 "the system starts no more threads (" + error.code().message() +
                     "); raise the limit of processes (ulimit -u, pids.max)",
                 {}};
  }
  return {};
}

Task::~Task() {
  stop();
  const std::lock_guard lock(registry().mutex);
  registry().tasks.erase(this);
}

void Task::run(const Work& work) {
  std::exception_ptr failure;
  try {
    work(*this);
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = std::move(failure);
  done_ = true;
  changed_.notify_all();
}

void Task::give(std::string_view text) {
  const std::lock_guard lock(mutex_);
  texts_.emplace_back(text);
  changed_.notify_all();
}

template <class Ready>
void Task::wait_until(Ready ready) {
  for (;;) {
    bool now = false;
    {
      const Unlocked unlocked;
      std::unique_lock lock(mutex_);
      now = changed_.wait_for(lock, kSignalPoll, [&] { return done_ || ready(); });
    }
    flush_log();
    if (PyErr_CheckSignals() != 0) {
      stop();
      raise_pending();
    }
    if (now) return;
  }
}

void Task::wait() {
  wait_until([] { return false; });
  rethrow();
}

std::optional<std::string> Task::take() {
  wait_until([&] { return !texts_.empty(); });
  {
    const std::lock_guard lock(mutex_);
    if (!texts_.empty()) {
      std::string text = std::move(texts_.front());
      texts_.pop_front();
      return text;
    }
  }
  rethrow();
  return std::nullopt;
}

void Task::rethrow() {
  if (failure_) std::rethrow_exception(failure_);
}

void Task::stop() {
  cancelled_ = true;
  if (!thread_.joinable()) return;
  if (process_ != ::getpid()) return thread_.detach();  // after fork() only the thread that forked lives on
  bool done = false;
  {
    const std::lock_guard lock(mutex_);
    done = done_;
  }
  if (!done) {
    const Unlocked unlocked;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
  }
  if (thread_.joinable()) thread_.join();
}

void Task::stop_all() {
  Registry& all = registry();
  if (all.process != ::getpid()) return;  // the threads stayed in the process that was forked
  {
    const std::lock_guard lock(all.mutex);
    all.leaving = true;
    all.leaver = std::this_thread::get_id();
  }
  PyThreadState* const state = PyEval_SaveThread();
  {
    std::unique_lock lock(all.mutex);
    for (Task* const task : all.tasks) task->cancelled_ = true;
    for (Task* const task : all.tasks) {
      std::unique_lock done(task->mutex_);
      task->changed_.wait(done, [&] { return task->done_; });
    }
    all.changed.wait(lock, [&] { return all.returning == 0; });
  }
  PyEval_RestoreThread(state);
}

}  // namespace miao::python
