// Model.generate: plain continuation of a text or of token ids.
#include "python/convert.h"
#include "python/model.h"
#include "python/options.h"
#include "python/stream.h"
#include "python/tokenizer.h"

namespace miao::python {

namespace {

using namespace nb::literals;

std::unique_ptr<Stream> start(const Model& model, nb::handle prompt, bool parse_special, const nb::kwargs& sampling) {
  runtime::GenerateOptions options = generate_options(sampling, value(model.session()->defaults));
  return std::make_unique<Stream>(model, prompt_ids(model, prompt, "prompt", parse_special), std::move(options));
}

#define DOC                                                                                                   \
  "Continues a text, or token ids as they are, without a chat template.\n\n"                                  \
  "parse_special: control tokens written out in the text become their ids, as apply_chat_template needs it; " \
  "otherwise "                                                                                                \
  "they are plain text.\n" MIAO_SAMPLING_DOC                                                                  \
  "\n\nstream=True returns a Stream, an iterator of pieces of text; False waits and returns the Completion."
#define SIGNATURE(stream, result)                                     \
  nb::sig("def generate(self, prompt: str | " MIAO_IDS ", *, " stream \
          ", parse_special: bool = False, " MIAO_SAMPLING_ARGUMENTS ") -> " result)

}  // namespace

void bind_generate(ModelClass& model) {
  model.def(
      "generate",
      [](const Model& self, nb::object prompt, Literal<false>, bool parse_special, nb::kwargs sampling) {
        return start(self, prompt, parse_special, sampling)->completion();
      },
      "prompt"_a, nb::kw_only(), "stream"_a = false, "parse_special"_a = false, "sampling"_a,
      SIGNATURE("stream: typing.Literal[False] = False", "Completion"), DOC);
  model.def(
      "generate",
      [](const Model& self, nb::object prompt, Literal<true>, bool parse_special, nb::kwargs sampling) {
        return start(self, prompt, parse_special, sampling);
      },
      "prompt"_a, nb::kw_only(), "stream"_a, "parse_special"_a = false, "sampling"_a,
      SIGNATURE("stream: typing.Literal[True]", "Stream"));
}

}  // namespace miao::python
