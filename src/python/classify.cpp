// Model.classify: the classes of whole texts.
#include "runtime/classify.h"

#include <algorithm>

#include "python/convert.h"
#include "python/model.h"

namespace miao::python {

namespace {

using namespace nb::literals;

nb::list classify(const Model& self, const std::vector<std::string>& texts, bool truncate, bool raw) {
  const std::vector<std::string>& labels = self.with("classify").spec().head.labels;
  const std::vector<float> all = self.compute([&](Session& session, Cancel cancel) -> Result<std::vector<float>> {
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::head, cancel));
    return runtime::classify(*encoder, texts, {.truncate = truncate, .raw = raw, .cancel = cancel});
  });
  const nb::object type = nb::module_::import_("miao.results").attr("Classification");
  nb::list out;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = std::span(all).subspan(i * labels.size(), labels.size());
    nb::dict scores;
    for (size_t c = 0; c < labels.size(); ++c) scores[to_str(labels[c])] = row[c];
    const auto best = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    out.append(type(to_str(labels[best]), row[best], scores));
  }
  return out;
}

#define SIGNATURE(texts, result) \
  nb::sig("def classify(self, texts: " texts ", *, truncate: bool = False, raw: bool = False) -> " result)

}  // namespace

void bind_classify(ModelClass& model) {
  model.def(
      "classify",
      [](const Model& self, nb::str texts, bool truncate, bool raw) {
        return nb::object(classify(self, {to_text(texts, "texts")}, truncate, raw)[0]);
      },
      "texts"_a, nb::kw_only(), "truncate"_a = false, "raw"_a = false, SIGNATURE("str", "miao.results.Classification"));
  model.def(
      "classify",
      [](const Model& self, nb::object texts, bool truncate, bool raw) {
        return classify(self, to_texts(texts, "texts"), truncate, raw);
      },
      "texts"_a, nb::kw_only(), "truncate"_a = false, "raw"_a = false,
      SIGNATURE("collections.abc.Iterable[str]", "list[miao.results.Classification]"),
      "The class of each text: a Classification with label, score and the scores of all `labels`.\n\n"
      "Scores are probabilities that sum to one; where the model's files say that several classes may hold, each is a "
      "probability of its own, and of a regression the value as it is.\n"
      "truncate: a text that is too long loses its end; else it is miao.Invalid.\n"
      "raw: the outputs of the model before they become probabilities.");
}

}  // namespace miao::python
