// A recording that is being transcribed: what transcribe() waits for, or gives as an iterator of segments.
#pragma once

#include <nanobind/stl/unique_ptr.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

#include "python/model.h"
#include "python/task.h"
#include "runtime/transcribe.h"

namespace miao::python {

struct Samples {
  std::vector<float> values;
  int rate;  // a second
};
using Audio = std::variant<std::filesystem::path, Samples>;

// Like a Stream of text it is computed ahead of who reads it.
class SpeechStream {
 public:
  SpeechStream(const Model& model, Audio audio, runtime::TranscribeOptions options);

  std::optional<runtime::SpeechSegment> next();  // none: the end
  runtime::Transcript transcript();              // waits for the end
  void close();

 private:
  Result<runtime::Transcript> hear(Session& session);

  std::shared_ptr<Session> session_;
  const Audio audio_;
  runtime::TranscribeOptions options_;
  std::mutex mutex_;
  std::deque<runtime::SpeechSegment> heard_;  // one for each text that the task has given
  std::optional<Result<runtime::Transcript>> outcome_;
  bool closed_ = false;
  Task task_;  // last: it uses the others
};

// As the dataclasses of miao.results.
nb::object to_python(const runtime::SpeechSegment& segment);
nb::object to_python(const runtime::Transcript& transcript);

}  // namespace miao::python
