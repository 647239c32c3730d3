// Model.translate: texts into another language.
#include <nanobind/stl/vector.h>

#include "python/convert.h"
#include "python/options.h"
#include "python/seq2seq.h"

namespace miao::python {

namespace {

using namespace nb::literals;

std::vector<Completion> translate(const Model& self, const std::vector<std::string>& texts, nb::handle source,
                                  nb::handle target, const nb::kwargs& arguments) {
  const Session& session = self.with("translate");
  runtime::Seq2SeqOptions options = search_options(arguments, session);
  options.parse_special = false;
  if (!source.is_none()) options.source = to_text(source, "source");
  if (!target.is_none()) options.target = to_text(target, "target");
  auto nothing = runtime::seq2seq_input(session.engine(), "", options);  // what is wrong with the languages
  if (!nothing.ok()) raise(std::move(nothing.error()).at("source, target"));
  if (nothing->first) options.rules.first = *nothing->first;
  std::vector<std::vector<int32_t>> inputs;
  for (size_t i = 0; i < texts.size(); ++i) {
    inputs.push_back(input_ids(session, texts[i], "texts[" + std::to_string(i) + "]", options));
  }
  return complete(self, inputs, options);
}

#define DOC                                                                                     \
  "Texts in the language that the model translates to; a list gives a list of Completions.\n\n" \
  "source, target: codes of languages as the model's files spell them (fr, fr_XX, fra_Latn).\n" \
  "Control tokens written out in a text are plain text. The other arguments are those of "      \
  "generate().\n" MIAO_SEARCH_DOC
#define SIGNATURE(texts, result)              \
  nb::sig("def translate(self, texts: " texts \
          ", source: str | None = None, target: str | None = None, *, " MIAO_SEARCH_ARGUMENTS ") -> " result)

}  // namespace

void bind_translate(ModelClass& model) {
  model.def(
      "translate",
      [](const Model& self, nb::str texts, nb::object source, nb::object target, nb::kwargs arguments) {
        return translate(self, {to_text(texts, "texts")}, source, target, arguments)[0];
      },
      "texts"_a, "source"_a = nb::none(), "target"_a = nb::none(), "arguments"_a, SIGNATURE("str", "Completion"), DOC);
  model.def(
      "translate",
      [](const Model& self, nb::object texts, nb::object source, nb::object target, nb::kwargs arguments) {
        return translate(self, to_texts(texts, "texts"), source, target, arguments);
      },
      "texts"_a, "source"_a = nb::none(), "target"_a = nb::none(), "arguments"_a,
      SIGNATURE("collections.abc.Iterable[str]", "list[Completion]"));
}

}  // namespace miao::python
