// Model.embed: one vector a text, as sentence-transformers computes them.
#include "runtime/embed.h"

#include <algorithm>

#include "python/convert.h"
#include "python/model.h"

namespace miao::python {

namespace {

using namespace nb::literals;

Block embed(const Model& self, const std::vector<std::string>& texts, nb::handle prompt, bool truncate) {
  const Session& kind = self.with("embed");
  runtime::EmbedOptions options{.prompt = std::nullopt, .truncate = truncate, .cancel = nullptr};
  if (!prompt.is_none()) options.prompt = to_text(prompt, "prompt");
  const std::vector<float> rows = self.compute([&](Session& session, Cancel cancel) -> Result<std::vector<float>> {
    options.cancel = cancel;
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::sentence, cancel));
    return runtime::embed(*encoder, texts, options);
  });
  Block out(texts.size(), texts.empty() ? static_cast<size_t>(kind.encoder_dim()) : rows.size() / texts.size());
  std::copy(rows.begin(), rows.end(), out.values.get());
  return out;
}

#define SIGNATURE(texts)                                                \
  nb::sig("def embed(self, texts: " texts                               \
          ", *, prompt: str | None = None, truncate: bool = False) -> " \
          "numpy.typing.NDArray[numpy.float32]")

}  // namespace

void bind_embed(ModelClass& model) {
  model.def(
      "embed",
      [](const Model& self, nb::str texts, nb::object prompt, bool truncate) {
        Block row = embed(self, {to_text(texts, "texts")}, prompt, truncate);
        return to_numpy(std::move(row.values), row.columns);
      },
      "texts"_a, nb::kw_only(), "prompt"_a = nb::none(), "truncate"_a = false, SIGNATURE("str"));
  model.def(
      "embed",
      [](const Model& self, nb::object texts, nb::object prompt, bool truncate) {
        return to_numpy(embed(self, to_texts(texts, "texts"), prompt, truncate));
      },
      "texts"_a, nb::kw_only(), "prompt"_a = nb::none(), "truncate"_a = false,
      SIGNATURE("collections.abc.Iterable[str]"),
      "A vector for each text: float32 (len(texts), dim), of one text (dim).\n\n"
      "Pooled and scaled as the model's files say, or the mean of its tokens; texts of any lengths go through the "
      "model "
      "together, and none changes another's vector.\n"
      "prompt: put before each text, such as one of `prompts`; None = the default of the model's files, '' = none.\n"
      "truncate: a text that is too long loses its end; else it is miao.Invalid.\n"
      "The first call may load the encoder once more, for rows that the model was not loaded for.");
}

}  // namespace miao::python
