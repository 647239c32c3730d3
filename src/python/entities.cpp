// Model.entities: spans of texts that a model labels, such as names and places.
#include "runtime/entities.h"

#include <nanobind/stl/string.h>

#include "python/convert.h"
#include "python/model.h"
#include "python/places.h"

namespace miao::python {

namespace {

using namespace nb::literals;

runtime::Aggregation to_aggregation(const std::string& name) {
  using runtime::Aggregation;
  if (name == "simple") return Aggregation::simple;
  if (name == "first") return Aggregation::first;
  if (name == "average") return Aggregation::average;
  if (name == "max") return Aggregation::max;
  raise({Code::invalid, "is '" + name + "'; choose simple, first, average or max", "aggregation"});
}

nb::list entities(const Model& self, const std::vector<std::string>& texts, bool only, const std::string& aggregation,
                  nb::handle overlap) {
  self.with("entities");
  runtime::EntityOptions options{.aggregation = to_aggregation(aggregation),
                                 .overlap = to_integer(overlap, "overlap", 0, INT32_MAX)};
  const auto found =
      self.compute([&](Session& session, Cancel cancel) -> Result<std::vector<Result<runtime::Entities>>> {
        options.cancel = cancel;
        MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::head, cancel));
        return runtime::find_entities(*encoder, texts, options);
      });
  const nb::object type = nb::module_::import_("miao.results").attr("Entity");
  nb::list out;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Places places(texts[i]);
    nb::list of_text;
    for (const runtime::Entity& entity : value(found[i], item_name("texts", i, only))) {
      const Place place = places.of(entity.range);
      of_text.append(type(to_str(entity.label), entity.score, place.begin, place.end, place.text));
    }
    out.append(of_text);
  }
  return out;
}

#define SIGNATURE(texts, result)                                                                                  \
  nb::sig("def entities(self, texts: " texts                                                                      \
          ", *, aggregation: typing.Literal['simple', 'first', 'average', 'max'] = 'simple', overlap: int = 64) " \
          "-> " result)

}  // namespace

void bind_entities(ModelClass& model) {
  model.def(
      "entities",
      [](const Model& self, nb::str texts, const std::string& aggregation, nb::object overlap) {
        return nb::object(entities(self, {to_text(texts, "texts")}, true, aggregation, overlap)[0]);
      },
      "texts"_a, nb::kw_only(), "aggregation"_a = "simple", "overlap"_a = 64,
      SIGNATURE("str", "list[miao.results.Entity]"));
  model.def(
      "entities",
      [](const Model& self, nb::object texts, const std::string& aggregation, nb::object overlap) {
        return entities(self, to_texts(texts, "texts"), false, aggregation, overlap);
      },
      "texts"_a, nb::kw_only(), "aggregation"_a = "simple", "overlap"_a = 64,
      SIGNATURE("collections.abc.Iterable[str]", "list[list[miao.results.Entity]]"),
      "The Entities of a text in its order, each with label, score (the mean probability of its words), begin, end and "
      "text; of a list of texts a list of such lists.\n\n"
      "aggregation: how the tokens of a word agree on a label: 'simple': they need not; 'first': the first one says; "
      "'max': the surest one; 'average': the mean of their probabilities. As in transformers' pipeline.\n"
      "overlap: texts that are too long go through the model in windows that share so many tokens.");
}

}  // namespace miao::python
