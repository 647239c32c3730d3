// Model: what miao.load() returns. It shares its Session with the streams that still run, so that neither outlives the
// engine, and hands the session to one caller at a time.
#pragma once

#include <unistd.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "python/errors.h"
#include "python/task.h"
#include "runtime/defaults.h"
#include "runtime/engine.h"
#include "runtime/generate.h"

namespace miao::python {

using Cancel = const std::atomic<bool>*;

// A loaded model. All but the turn belongs to the thread that has the turn.
struct Session {
  explicit Session(std::unique_ptr<runtime::Engine> loaded)
      : engine(std::move(loaded)),
        generator(*engine),
        defaults(runtime::generation_defaults(engine->checkpoint())),
        process(::getpid()) {}
  ~Session() {
    if (process != ::getpid()) (void)engine.release();  // a forked process has not the threads that it would join
  }

  std::unique_ptr<runtime::Engine> engine;
  runtime::Generator generator;  // keeps the last text: the next turn of a chat computes what is new
  Result<runtime::GenerationDefaults> defaults;
  std::timed_mutex turn;
  const int process;
};

// Waits for the turn, then work(session, cancel) -> Result<T>. Error cancelled when `cancel` was raised before.
template <class Work>
auto in_turn(Session& session, Cancel cancel, Work&& work) -> std::invoke_result_t<Work&, Session&, Cancel> {
  std::unique_lock turn(session.turn, std::defer_lock);
  while (!turn.try_lock_for(std::chrono::milliseconds(20))) {
    if (*cancel) return Error{Code::cancelled, "stopped while another thread used the model", {}};
  }
  return work(session, cancel);
}

class Model {
 public:
  explicit Model(std::unique_ptr<runtime::Engine> engine) : session_(std::make_shared<Session>(std::move(engine))) {}

  // The session, for what reads only. Raises miao.Unsupported in a process that was forked after the model was loaded.
  const std::shared_ptr<Session>& session() const;
  const runtime::Engine& engine() const { return *session()->engine; }

  // work(session, cancel) -> Result<T> in turn, on a thread of its own: its value, or the exception.
  template <class Work>
  auto compute(Work work) const {
    using Outcome = std::invoke_result_t<Work&, Session&, Cancel>;
    std::optional<Outcome> outcome;
    Task task([&, session = session()](Task& self) { outcome.emplace(in_turn(*session, self.cancelled(), work)); });
    task.wait();
    return value(std::move(*outcome));
  }

 private:
  std::shared_ptr<Session> session_;
};

// What `name` holds: token ids as they are, or those of a text with the begin ids that the model asks for. Control
// tokens in the text are plain text unless `parse_special`.
std::vector<int32_t> prompt_ids(const Model& model, nb::handle object, const char* name, bool parse_special);

using ModelClass = nb::class_<Model>;
#define X(name) void bind_##name(ModelClass& model);
#include "python/methods.inc"
#undef X

}  // namespace miao::python
