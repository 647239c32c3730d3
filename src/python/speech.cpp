#include "python/speech.h"

#include "prep/audio.h"
#include "python/bind.h"
#include "python/convert.h"

namespace miao::python {

namespace {

nb::object next_segment(SpeechStream& stream) {
  if (const auto segment = stream.next()) return to_python(*segment);
  PyErr_SetNone(PyExc_StopIteration);
  raise_pending();
}

template <class Number>
nb::list to_list(const std::vector<Number>& numbers) {
  nb::list out;
  for (const Number number : numbers) out.append(number);
  return out;
}

}  // namespace

nb::object to_python(const runtime::SpeechSegment& s) {
  return nb::module_::import_("miao.results")
      .attr("Segment")(s.start, s.end, to_str(s.text), to_list(s.tokens), s.temperature, s.avg_log_probability,
                       s.compression_ratio, s.no_speech);
}

nb::object to_python(const runtime::Transcript& t) {
  nb::list segments;
  for (const runtime::SpeechSegment& segment : t.segments) segments.append(to_python(segment));
  const nb::object language = t.language.empty() ? nb::object(nb::none()) : nb::object(to_str(t.language));
  return nb::module_::import_("miao.results")
      .attr("Transcript")(to_str(t.text()), language, t.language_probability, t.seconds, segments);
}

SpeechStream::SpeechStream(const Model& model, Audio audio, runtime::TranscribeOptions options)
    : session_(model.session()), audio_(std::move(audio)), options_(std::move(options)), task_([this](Task& task) {
        options_.cancel = task.cancelled();
        options_.on_segment = [&](const runtime::SpeechSegment& segment) {
          {
            const std::lock_guard lock(mutex_);
            heard_.push_back(segment);
          }
          task.give(segment.text);
        };
        outcome_.emplace(in_turn(*session_, task.cancelled(), [&](Session& session, Cancel) { return hear(session); }));
      }) {}

Result<runtime::Transcript> SpeechStream::hear(Session& session) {
  MIAO_TRY(const auto whisper, runtime::Transcriber::of(session.engine()));
  if (const auto* const file = std::get_if<std::filesystem::path>(&audio_)) return whisper.run_file(*file, options_);
  const auto& samples = std::get<Samples>(audio_);
  auto out = [&]() -> Result<runtime::Transcript> {
    if (samples.rate == prep::kAudioRate) return whisper.run(samples.values, options_);
    MIAO_TRY(const std::vector<float> resampled, prep::resample(samples.values, samples.rate));
    return whisper.run(resampled, options_);
  }();
  if (!out.ok() && out.error().where.empty()) return std::move(out.error()).at("audio");
  return out;
}

std::optional<runtime::SpeechSegment> SpeechStream::next() {
  if (task_.take()) {
    const std::lock_guard lock(mutex_);
    runtime::SpeechSegment segment = std::move(heard_.front());
    heard_.pop_front();
    return segment;
  }
  const bool stopped = closed_ && !outcome_->ok() && outcome_->error().code == Code::cancelled;
  if (!outcome_->ok() && !stopped) raise(outcome_->error());
  return std::nullopt;
}

runtime::Transcript SpeechStream::transcript() {
  task_.wait();
  return value(*outcome_);
}

void SpeechStream::close() {
  closed_ = true;
  task_.stop();
}

void bind_speech(nb::module_& module) {
  nb::class_<SpeechStream>(module, "SpeechStream",
                           "An iterator of the Segments of a recording, each as soon as it is heard.\n\nThe recording "
                           "is transcribed in the background; close(), or losing the last reference, stops that.")
      .def(
          "__iter__", [](nb::object self) { return self; }, nb::sig("def __iter__(self) -> SpeechStream"))
      .def("__next__", next_segment, nb::sig("def __next__(self) -> miao.results.Segment"))
      .def_prop_ro(
          "transcript", [](SpeechStream& self) { return to_python(self.transcript()); },
          "The whole Transcript; waits for the end. miao.Cancelled where close() came before it.",
          nb::sig("def transcript(self) -> miao.results.Transcript"))
      .def("close", &SpeechStream::close, "Stops transcribing; what was heard can still be read.")
      .def(
          "__enter__", [](nb::object self) { return self; }, nb::sig("def __enter__(self) -> SpeechStream"))
      .def(
          "__exit__", [](SpeechStream& self, nb::args) { self.close(); },
          nb::sig("def __exit__(self, *arguments: object) -> None"));
}

}  // namespace miao::python
