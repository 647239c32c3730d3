#include "python/stream.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "python/bind.h"
#include "python/convert.h"

namespace miao::python {

namespace {

nb::dict timings(const Completion& completion) {
  const runtime::GenerateStats& stats = completion.stats;
  nb::dict out;
  out["prompt_tokens"] = stats.prompt_tokens;
  out["new_tokens"] = stats.new_tokens;
  if (completion.score) return out;  // computed together with others
  out["reused_tokens"] = stats.reused_tokens;
  out["prefill_seconds"] = stats.prefill_seconds;
  out["first_seconds"] = stats.first_seconds;
  out["decode_seconds"] = stats.decode_seconds;
  out["prefill_tok_s"] = stats.prefill_tok_s();
  out["decode_tok_s"] = stats.decode_tok_s();
  return out;
}

nb::str next_piece(Stream& stream) {
  if (const auto piece = stream.next()) return to_str(*piece);
  PyErr_SetNone(PyExc_StopIteration);
  raise_pending();
}

}  // namespace

Stream::Stream(const Model& model, std::vector<int32_t> prompt, runtime::GenerateOptions options)
    : session_(model.session()),
      prompt_(std::move(prompt)),
      options_(std::move(options)),
      task_([this](Task& task) { work(task); }) {}

void Stream::work(Task& task) {
  options_.cancel = task.cancelled();
  outcome_.emplace(in_turn(*session_, task.cancelled(), [&](Session& session, Cancel) {
    return session.generator().run(prompt_, options_, [&](std::string_view text) { task.give(text); });
  }));
}

std::optional<std::string> Stream::next() {
  std::optional<std::string> piece = task_.take();
  if (!piece && !outcome_->ok()) raise(outcome_->error());
  return piece;
}

Completion Stream::completion() {
  task_.wait();
  return {value(*outcome_), {}, {}};
}

void bind_completion(nb::module_& module) {
  nb::class_<Completion>(module, "Completion", "A text that was generated. str() of it is the text.")
      .def_prop_ro(
          "text", [](const Completion& c) { return to_str(c.text); }, "The text, without prompt and stop text.",
          nb::sig("def text(self) -> str"))
      .def_prop_ro(
          "ids", [](const Completion& c) { return c.tokens; }, "Its token ids, without the end token.")
      .def_prop_ro(
          "finish_reason", [](const Completion& c) { return runtime::stop_reason_name(c.reason); },
          "'end', 'stop string', 'max tokens', 'context full' or 'cancelled'.")
      .def_prop_ro(
          "score", [](const Completion& c) { return c.score; },
          "Of encoder-decoders: log-probability / tokens ** length_penalty, natural logarithm; else None.")
      .def_prop_ro(
          "alternatives", [](const Completion& c) { return c.alternatives; },
          "The next best texts, best first, where generate() was asked for several with best=.")
      .def_prop_ro(
          "stop", [](const Completion& c) { return to_str(c.stop); }, "The stop text that ended it, or ''.",
          nb::sig("def stop(self) -> str"))
      .def_prop_ro(
          "seed", [](const Completion& c) { return c.seed; }, "Gives the same text again.")
      .def_prop_ro(
          "timings", timings,
          "prompt_tokens, of which reused_tokens were known from the text before, and new_tokens (an end token "
          "included); of decoders also prefill_seconds, first_seconds (until the first token) and decode_seconds (from "
          "the "
          "first to the last); prefill_tok_s and decode_tok_s, tokens per second.",
          nb::sig("def timings(self) -> dict[str, int | float]"))
      .def(
          "__str__", [](const Completion& c) { return to_str(c.text); }, nb::sig("def __str__(self) -> str"))
      .def(
          "__repr__",
          [](const Completion& c) {
            return nb::str("<miao.Completion {!r} ({}, {} tokens)>")
                .format(to_str(c.text), runtime::stop_reason_name(c.reason), c.tokens.size());
          },
          nb::sig("def __repr__(self) -> str"));
  nb::class_<Stream>(module, "Stream",
                     "An iterator of pieces of text, each as soon as it is certain.\n\nThe text is computed in the "
                     "background; close(), or losing the last reference, stops that.")
      .def(
          "__iter__", [](nb::object self) { return self; }, nb::sig("def __iter__(self) -> Stream"))
      .def("__next__", next_piece, nb::sig("def __next__(self) -> str"))
      .def_prop_ro("completion", &Stream::completion, "The whole text and its figures; waits for the end.")
      .def("close", &Stream::close, "Stops computing; what was computed can still be read.")
      .def(
          "__enter__", [](nb::object self) { return self; }, nb::sig("def __enter__(self) -> Stream"))
      .def(
          "__exit__", [](Stream& self, nb::args) { self.close(); },
          nb::sig("def __exit__(self, *exc: object) -> None"));
}

}  // namespace miao::python
