// Model.generate: what a decoder writes behind a text, or an encoder-decoder makes of it.
#include <nanobind/stl/vector.h>

#include <utility>

#include "python/convert.h"
#include "python/model.h"
#include "python/options.h"
#include "python/seq2seq.h"
#include "python/stream.h"

namespace miao::python {

namespace {

using namespace nb::literals;

// Of a decoder or an encoder-decoder; the latter's may be cut.
std::vector<int32_t> ids_of(const Model& model, nb::handle prompt, const std::string& what,
                            const runtime::Seq2SeqOptions& options) {
  const Session& session = *model.session();
  if (session.kind() == kDecoder || !PyUnicode_Check(prompt.ptr())) {
    return prompt_ids(model, prompt, what, options.parse_special);
  }
  return input_ids(session, to_text(prompt, what), what, options);
}

std::unique_ptr<Stream> stream(const Model& self, nb::object prompt, Literal<true>, bool parse_special,
                               nb::kwargs arguments) {
  const Session& session = self.with("generate");
  if (session.kind() != kDecoder) {
    raise({Code::unsupported, "is for decoders: a search has its text at the end; leave it out", "stream"});
  }
  runtime::GenerateOptions options = generate_options(arguments, session);
  return std::make_unique<Stream>(self, prompt_ids(self, prompt, "prompt", parse_special), std::move(options));
}

// A decoder answers one after the other, as if each had been asked alone with the seed plus its number.
std::vector<Completion> decode(const Model& self, std::vector<std::vector<int32_t>> prompts,
                               const runtime::GenerateOptions& options) {
  std::vector<Completion> out;
  for (std::vector<int32_t>& prompt : prompts) {
    runtime::GenerateOptions own = options;
    if (own.sampling.seed) *own.sampling.seed += out.size();
    out.push_back(Stream(self, std::move(prompt), std::move(own)).completion());
  }
  return out;
}

// `prompts` with the names that errors call them by.
std::vector<Completion> run(const Model& self, const std::vector<std::pair<nb::object, std::string>>& prompts,
                            bool parse_special, const nb::kwargs& arguments) {
  const Session& session = self.with("generate");
  const bool decoder = session.kind() == kDecoder;
  const auto of_decoder = decoder ? generate_options(arguments, session) : runtime::GenerateOptions();
  auto of_search = decoder ? runtime::Seq2SeqOptions() : search_options(arguments, session);
  of_search.parse_special = parse_special;
  std::vector<std::vector<int32_t>> ids;
  for (const auto& [prompt, name] : prompts) ids.push_back(ids_of(self, prompt, name, of_search));
  return decoder ? decode(self, std::move(ids), of_decoder) : complete(self, ids, of_search);
}

template <class Prompt>
Completion one(const Model& self, Prompt prompt, Literal<false>, bool parse_special, nb::kwargs arguments) {
  return run(self, {{prompt, "prompt"}}, parse_special, arguments)[0];
}

template <class List>
std::vector<Completion> several(const Model& self, List prompts, Literal<false>, bool parse_special,
                                nb::kwargs arguments) {
  std::vector<std::pair<nb::object, std::string>> named;
  for (const nb::handle prompt : prompts.object) {
    named.emplace_back(nb::borrow(prompt), "prompt[" + std::to_string(named.size()) + "]");
  }
  return run(self, named, parse_special, arguments);
}

#define DOC                                                                                                            \
  "A decoder continues a text, or token ids as they are, without a chat template; an encoder-decoder makes a text of " \
  "it: a translation, a summary, an answer.\n\n"                                                                       \
  "A list of prompts gives a list of Completions; prompt i is drawn with the seed plus i.\n"                           \
  "parse_special: control tokens written out in the text become their ids, as apply_chat_template needs it; "          \
  "otherwise they are plain text.\n" MIAO_SAMPLING_DOC "\n\n" MIAO_SEARCH_DOC                                          \
  "\n\nstream=True, of decoders, returns a Stream, an iterator of pieces of text; False waits and returns the "        \
  "Completion."
#define SIGNATURE(prompt, stream, result)                     \
  nb::sig("def generate(self, prompt: " prompt ", *, " stream \
          ", parse_special: bool = False, " MIAO_SAMPLING_ARGUMENTS ", " MIAO_SEARCH_ARGUMENTS_ALONE ") -> " result)

}  // namespace

void bind_generate(ModelClass& model) {
  const auto define = [&](auto function, auto stream_argument, const auto&... more) {
    model.def("generate", function, "prompt"_a, nb::kw_only(), stream_argument, "parse_special"_a = false,
              "arguments"_a, more...);
  };
  // A str comes first: to type checkers it is a sequence of str too.
  define(one<nb::str>, "stream"_a = false, SIGNATURE("str", "stream: typing.Literal[False] = False", "Completion"),
         DOC);
  define(several<Texts>, "stream"_a = false,
         SIGNATURE("collections.abc.Sequence[str]", "stream: typing.Literal[False] = False", "list[Completion]"));
  define(
      several<Batch>, "stream"_a = false,
      SIGNATURE("collections.abc.Sequence[" MIAO_IDS "]", "stream: typing.Literal[False] = False", "list[Completion]"));
  define(one<nb::object>, "stream"_a = false,
         SIGNATURE(MIAO_IDS, "stream: typing.Literal[False] = False", "Completion"));
  define(stream, "stream"_a, SIGNATURE("str | " MIAO_IDS, "stream: typing.Literal[True]", "Stream"));
}

}  // namespace miao::python
