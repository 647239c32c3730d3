// Model: what miao.load() returns. It shares its Session with the streams that still run, so that neither outlives the
// engine, and hands the session to one caller at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "python/errors.h"
#include "python/session.h"
#include "python/task.h"

namespace miao::python {

class Model {
 public:
  explicit Model(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  // The session, for what reads only. Raises miao.Unsupported in a process that was forked after the model was loaded.
  const std::shared_ptr<Session>& session() const;
  // The same for a method: raises miao.Unsupported, with what the model has instead, where it lacks that.
  const Session& with(const char* method) const;

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

// Finds and downloads what `ref` names, and loads it.
Result<std::shared_ptr<Session>> open_session(const std::filesystem::path& ref, runtime::EngineOptions options);
// Arguments of load(): raise miao.Invalid.
std::optional<kernels::KvType> kv_type(nb::handle kv);
runtime::Compute compute_type(const std::string& name);

// What a model is called in messages: "a decoder".
const char* kind_name(Kind kind);

// What `name` holds: token ids as they are, or those of a text with the begin and end ids that the model asks for.
// Control tokens in the text are plain text unless `parse_special`.
std::vector<int32_t> prompt_ids(const Model& model, nb::handle object, const std::string& name, bool parse_special);

using ModelClass = nb::class_<Model>;
#define X(name, kinds) void bind_##name(ModelClass& model);
#include "python/methods.inc"
#undef X

}  // namespace miao::python
