// Model.answer: where in a text the answer to a question stands.
#include "runtime/answer.h"

#include <nanobind/stl/string.h>

#include "python/convert.h"
#include "python/model.h"
#include "python/places.h"

namespace miao::python {

namespace {

using namespace nb::literals;

struct Arguments {
  nb::object best, max_tokens, overlap;
};

runtime::AnswerOptions to_options(const Arguments& arguments) {
  return {.count = static_cast<size_t>(to_integer(arguments.best, "best", 1, 1000)),
          .most_tokens = to_integer(arguments.max_tokens, "max_tokens", 1, INT32_MAX),
          .overlap = to_integer(arguments.overlap, "overlap", 0, INT32_MAX)};
}

nb::list answer(const Model& self, const std::string& question, const std::vector<std::string>& texts, bool only,
                const Arguments& arguments) {
  self.with("answer");
  runtime::AnswerOptions options = to_options(arguments);
  if (question.find_first_not_of(" \t\r\n") == std::string::npos) raise({Code::invalid, "is empty", "question"});
  const auto found = self.compute([&](Session& session, Cancel cancel) -> Result<std::vector<runtime::Answers>> {
    options.cancel = cancel;
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::head, cancel));
    std::vector<runtime::Answers> all;
    for (const std::string& text : texts) {
      auto answers = runtime::find_answers(*encoder, question, text, options);
      if (!answers.ok()) return std::move(answers.error()).at(item_name("texts", all.size(), only));
      all.push_back(std::move(*answers));
    }
    return all;
  });
  const nb::object results = nb::module_::import_("miao.results");
  nb::list out;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Places places(texts[i]);
    nb::list best;
    for (const runtime::Answer& one : found[i].best) {
      const Place place = places.of(one.range);
      best.append(results.attr("Answer")(one.score, place.begin, place.end, place.text));
    }
    out.append(results.attr("Answers")(best, found[i].none));
  }
  return out;
}

#define SIGNATURE(texts, result)                          \
  nb::sig("def answer(self, question: str, texts: " texts \
          ", *, best: int = 1, max_tokens: int = 15, overlap: int = 128) -> " result)

}  // namespace

void bind_answer(ModelClass& model) {
  model.def(
      "answer",
      [](const Model& self, const std::string& question, nb::str texts, nb::object best, nb::object max_tokens,
         nb::object overlap) {
        return nb::object(answer(self, question, {to_text(texts, "texts")}, true, {best, max_tokens, overlap})[0]);
      },
      "question"_a, "texts"_a, nb::kw_only(), "best"_a = 1, "max_tokens"_a = 15, "overlap"_a = 128,
      SIGNATURE("str", "miao.results.Answers"),
      "Where in a text the answer to a question stands: Answers, with the best ones, surest first, and the probability "
      "that there is none; of a list of texts a list of them.\n\n"
      "best: so many answers of each text.\n"
      "max_tokens: of an answer at most.\n"
      "overlap: texts that are too long go through the model in windows that share so many tokens.");
  model.def(
      "answer",
      [](const Model& self, const std::string& question, nb::object texts, nb::object best, nb::object max_tokens,
         nb::object overlap) {
        return answer(self, question, to_texts(texts, "texts"), false, {best, max_tokens, overlap});
      },
      "question"_a, "texts"_a, nb::kw_only(), "best"_a = 1, "max_tokens"_a = 15, "overlap"_a = 128,
      SIGNATURE("collections.abc.Iterable[str]", "list[miao.results.Answers]"));
}

}  // namespace miao::python
