// Model.chat: the answer to a conversation, through the model's chat template.
#include "python/convert.h"
#include "python/model.h"
#include "python/options.h"
#include "python/stream.h"
#include "python/tokenizer.h"

namespace miao::python {

namespace {

using namespace nb::literals;

// Control tokens come from the template alone: a message that spells one is just these letters.
std::unique_ptr<Stream> start(const Model& model, nb::handle messages, nb::handle tools, const nb::kwargs& sampling) {
  runtime::GenerateOptions options = generate_options(sampling, model.with("chat"));
  const TextSide side(*model.session());
  const prep::Rendered rendered = side.render(messages, tools, true);
  return std::make_unique<Stream>(model, value(side.tokenizer().encode(rendered.text, rendered.segments, false)),
                                  std::move(options));
}

#define DOC                                                                                                            \
  "Answers a conversation: a list of {'role': ..., 'content': ...}, which goes through the model's chat template.\n\n" \
  "tools: a list of descriptions of functions, for templates that show them.\n"                                        \
  "A conversation that begins as the last one did is computed only from where it differs.\n" MIAO_SAMPLING_DOC         \
  "\n\nReturns a Stream, an iterator of pieces of text; stream=False waits and returns the Completion."
#define SIGNATURE(stream, result)                                                                            \
  nb::sig("def chat(self, messages: collections.abc.Sequence[dict[str, typing.Any]], *, " stream             \
          ", tools: collections.abc.Sequence[dict[str, typing.Any]] | None = None, " MIAO_SAMPLING_ARGUMENTS \
          ") -> " result)

}  // namespace

void bind_chat(ModelClass& model) {
  model.def(
      "chat",
      [](const Model& self, nb::object messages, Literal<true>, nb::object tools, nb::kwargs sampling) {
        return start(self, messages, tools, sampling);
      },
      "messages"_a, nb::kw_only(), "stream"_a = true, "tools"_a = nb::none(), "sampling"_a,
      SIGNATURE("stream: typing.Literal[True] = True", "Stream"), DOC);
  model.def(
      "chat",
      [](const Model& self, nb::object messages, Literal<false>, nb::object tools, nb::kwargs sampling) {
        return start(self, messages, tools, sampling)->completion();
      },
      "messages"_a, nb::kw_only(), "stream"_a, "tools"_a = nb::none(), "sampling"_a,
      SIGNATURE("stream: typing.Literal[False]", "Completion"));
}

}  // namespace miao::python
