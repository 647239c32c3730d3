// Model.rerank: documents in the order in which they answer a query.
#include "runtime/rerank.h"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <functional>

#include "python/convert.h"
#include "python/model.h"

namespace miao::python {

namespace {

using namespace nb::literals;

nb::list rerank(const Model& self, const std::string& query, nb::object documents, bool truncate) {
  self.with("rerank");
  const std::vector<std::string> texts = to_texts(documents, "documents");
  const auto rated = self.compute([&](Session& session, Cancel cancel) -> Result<std::vector<Result<float>>> {
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::head, cancel));
    return runtime::rerank(*encoder, query, texts, {.truncate = truncate, .cancel = cancel});
  });
  std::vector<std::pair<float, size_t>> order;
  for (size_t i = 0; i < texts.size(); ++i) order.emplace_back(value(rated[i], item_name("documents", i, false)), i);
  std::ranges::stable_sort(order, std::ranges::greater(), &std::pair<float, size_t>::first);
  const nb::object type = nb::module_::import_("miao.results").attr("Ranked");
  nb::list out;
  for (const auto& [score, index] : order) out.append(type(index, score, to_str(texts[index])));
  return out;
}

}  // namespace

void bind_rerank(ModelClass& model) {
  model.def("rerank", rerank, "query"_a, "documents"_a, nb::kw_only(), "truncate"_a = false,
            "Documents in the order in which they answer a query, best first: Ranked, with the index in `documents`, "
            "the score and the text.\n\n"
            "For cross-encoders, which read query and document together. A score is a probability, unless the model's "
            "files say that it is not.\n"
            "truncate: a document that is too long loses its end; else it is miao.Invalid.",
            nb::sig("def rerank(self, query: str, documents: collections.abc.Iterable[str], *, truncate: bool = False) "
                    "-> list[miao.results.Ranked]"));
}

}  // namespace miao::python
