// Model.explain: which words a classification rests on.
#include "runtime/explain.h"

#include "python/convert.h"
#include "python/model.h"
#include "python/places.h"

namespace miao::python {

namespace {

using namespace nb::literals;

nb::list explain(const Model& self, const std::vector<std::string>& texts, bool only, bool truncate) {
  const std::vector<std::string>& labels = self.with("explain").spec().head.labels;
  const auto all = self.compute([&](Session& session, Cancel cancel) -> Result<std::vector<runtime::Explanation>> {
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::head, cancel));
    std::vector<runtime::Explanation> out;
    for (const std::string& text : texts) {
      auto one = runtime::explain(*encoder, text, {.truncate = truncate, .cancel = cancel});
      if (!one.ok()) return std::move(one.error()).at(item_name("texts", out.size(), only));
      out.push_back(std::move(*one));
    }
    return out;
  });
  const nb::object results = nb::module_::import_("miao.results");
  nb::list out;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Places places(texts[i]);
    nb::list words;
    for (const runtime::WordShare& word : all[i].words) {
      const Place place = places.of(word.range);
      words.append(results.attr("Word")(word.share, place.begin, place.end, place.text));
    }
    out.append(results.attr("Explanation")(to_str(labels[all[i].label]), all[i].score, words));
  }
  return out;
}

#define SIGNATURE(texts, result) nb::sig("def explain(self, texts: " texts ", *, truncate: bool = False) -> " result)

}  // namespace

void bind_explain(ModelClass& model) {
  model.def(
      "explain",
      [](const Model& self, nb::str texts, bool truncate) {
        return nb::object(explain(self, {to_text(texts, "texts")}, true, truncate)[0]);
      },
      "texts"_a, nb::kw_only(), "truncate"_a = false, SIGNATURE("str", "miao.results.Explanation"),
      "Which words the class of a text rests on: an Explanation with its label, score and words; of a list of texts a "
      "list of them.\n\n"
      "A word's share is what the score loses when the word is left out; words that say the same thing twice cover "
      "for each other. A text is classified once more for each of its words.\n"
      "truncate: a text that is too long loses its end; else it is miao.Invalid.");
  model.def(
      "explain",
      [](const Model& self, nb::object texts, bool truncate) {
        return explain(self, to_texts(texts, "texts"), false, truncate);
      },
      "texts"_a, nb::kw_only(), "truncate"_a = false,
      SIGNATURE("collections.abc.Iterable[str]", "list[miao.results.Explanation]"));
}

}  // namespace miao::python
