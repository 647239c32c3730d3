// Model.score: how likely the model finds a text, token by token, in bounded memory.
#include <algorithm>

#include "python/convert.h"
#include "python/model.h"
#include "runtime/likelihood.h"

namespace miao::python {

namespace {

using namespace nb::literals;

// out[i] = log P(ids[i + 1] | memory, ids[0 .. i])
Result<void> run(runtime::Engine& engine, std::span<const int32_t> ids, const runtime::Sequence* memory, float* out,
                 Cancel cancel) {
  MIAO_TRY(const auto found, runtime::likelihoods(engine, ids, 1, 0, memory, cancel));
  std::ranges::transform(found, out, [](const runtime::TokenLikelihood& l) { return l.own.log_probability; });
  return {};
}

// A target is in the decoder's vocabulary, which is not always the encoder's.
std::vector<int32_t> target_ids(const Model& model, nb::object target, bool parse_special) {
  if (!PyUnicode_Check(target.ptr())) return prompt_ids(model, target, "target", parse_special);
  const prep::Tokenizer writer = value(model.session()->tokenizer())->target();
  return value(writer.encode(to_text(target, "target"), {.parse_special = parse_special}));
}

Vector score(const Model& model, nb::object text, nb::object target, bool parse_special) {
  const Session& kind = model.with("score");
  std::vector<int32_t> ids = prompt_ids(model, text, "text", parse_special), input;
  if (kind.kind() == kTextToText) {
    if (target.is_none())
      raise({Code::invalid, "is missing: an encoder-decoder scores a target behind a text", "target"});
    input = std::exchange(ids, target_ids(model, target, parse_special));
    ids.insert(ids.begin(), value(kind.search()).start);
  } else if (!target.is_none()) {
    raise({Code::unsupported, "is not an argument for a decoder; leave it out", "target"});
  }
  const size_t size = ids.size() - 1;
  auto out = std::make_unique_for_overwrite<float[]>(size);
  model.compute([&](Session& session, Cancel cancel) -> Result<void> {
    if (input.empty()) return run(session.engine(), ids, nullptr, out.get(), cancel);
    const runtime::EncoderInput read{.ids = input};
    MIAO_TRY(const std::vector<runtime::Sequence> memory, session.engine().encode({&read, 1}, cancel));
    return run(session.engine(), ids, &memory[0], out.get(), cancel);
  });
  return to_numpy(std::move(out), size);
}

}  // namespace

void bind_score(ModelClass& model) {
  model.def(
      "score", score, "text"_a, "target"_a = nb::none(), nb::kw_only(), "parse_special"_a = false,
      "Log-probabilities of the tokens of a text: float32 (n - 1) for n tokens, natural logarithms.\n\n"
      "With ids = the token ids given, or those of the text with the begin ids that the model asks for, element i "
      "is log P(ids[i + 1] | ids[0], ..., ids[i]) = log_softmax(logits(ids)[i])[ids[i + 1]]; the first token has "
      "none. Their sum is the log-likelihood, exp(-mean) the perplexity. The logits are not kept, so memory does "
      "not grow with n * vocab.\n"
      "target: of an encoder-decoder, which reads the text whole and is asked for these tokens behind start_id: "
      "float32 (n) for n of them, with the end ids that the model asks for where it is a str.",
      nb::sig("def score(self, text: str | " MIAO_IDS ", target: str | " MIAO_IDS
              " | None = None, *, parse_special: bool = False) -> numpy.typing.NDArray[numpy.float32]"));
}

}  // namespace miao::python
