// Stream: a text that is being computed, as an iterator of its pieces. The work runs ahead of who reads, so a stream
// that nobody reads keeps nobody waiting for longer than its text takes. Without reading it is Model.generate().
#pragma once

#include <nanobind/stl/unique_ptr.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "python/model.h"
#include "python/task.h"

namespace miao::python {

struct Completion : runtime::Generated {
  std::optional<double> score;           // of encoder-decoders
  std::vector<Completion> alternatives;  // best first
};

// Tells True from False in overloads, as typing.Literal does.
template <bool kValue>
struct Literal {};

class Stream {
 public:
  Stream(const Model& model, std::vector<int32_t> prompt, runtime::GenerateOptions options);

  std::optional<std::string> next();  // none: the end
  Completion completion();            // waits for the end
  void close() { task_.stop(); }

 private:
  void work(Task& task);

  std::shared_ptr<Session> session_;
  const std::vector<int32_t> prompt_;
  runtime::GenerateOptions options_;
  std::optional<Result<runtime::Generated>> outcome_;
  Task task_;  // last: it uses the others
};

}  // namespace miao::python

namespace nanobind::detail {

template <bool kValue>
struct type_caster<miao::python::Literal<kValue>> {
  NB_TYPE_CASTER(miao::python::Literal<kValue>, const_name<kValue>("typing.Literal[True]", "typing.Literal[False]"))
  bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
    return source.ptr() == (kValue ? Py_True : Py_False);
  }
};

}  // namespace nanobind::detail
