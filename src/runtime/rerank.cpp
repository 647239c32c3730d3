// See rerank.h.
#include "runtime/rerank.h"

#include <cmath>

#include "models/spec.h"
#include "prep/tokenizer.h"

namespace miao::runtime {

namespace {

// sentence-transformers names a class of torch; its default is the logistic function.
Result<bool> is_raw(const KeyValues& meta) {
  MIAO_TRY(std::string_view name, meta.string("sbert_ce_default_activation_function", ""));
  MIAO_TRY(name, meta.string("sentence_transformers.activation_fn", name));
  name.remove_prefix(name.rfind('.') == name.npos ? 0 : name.rfind('.') + 1);
  if (name.empty() || name == "Sigmoid") return false;
  if (name == "Identity") return true;
  return Error{Code::unsupported,
               "the activation '" + std::string(name) + "' of the scores is neither Sigmoid nor Identity",
               meta.source()};
}

}  // namespace

Result<std::vector<Result<float>>> rerank(Encoder& encoder, std::string_view query,
                                          std::span<const std::string> documents, const RerankOptions& options) {
  const models::HeadSpec& head = encoder.spec().head;
  if (head.task != models::HeadSpec::Task::sequence || head.outputs > 2) {
    return Error{Code::unsupported, "the model has no head of one or two outputs that rates pairs of texts",
                 encoder.checkpoint().path().string()};
  }
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder.tokenizer());
  MIAO_TRY(const bool raw, is_raw(encoder.checkpoint().meta()));
  const auto limit = static_cast<size_t>(encoder.ctx());
  std::vector<Result<float>> out;
  std::vector<prep::EncodedPair> pairs;
  std::vector<size_t> places;  // of the pairs in `out`
  for (const std::string& document : documents) {
    auto pair = tokenizer->encode_pair(query, document, {.limit = options.truncate ? limit : SIZE_MAX});
    if (pair.ok() && pair->ids.size() > limit) {
      pair = Error{Code::invalid,
                   "it has " + std::to_string(pair->ids.size()) + " tokens with the query and the model reads " +
                       std::to_string(limit) + "; shorten it or ask for truncation",
                   {}};
    }
    if (!pair.ok()) {
      out.emplace_back(pair.error());
      continue;
    }
    places.push_back(out.size());
    pairs.push_back(std::move(*pair));
    out.emplace_back(0.0f);
  }
  std::vector<EncoderInput> inputs;
  for (const prep::EncodedPair& pair : pairs) inputs.push_back({pair.ids, pair.types});
  MIAO_TRY(const Encoded rows, encoder.run(inputs, options.cancel));
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto row = rows.row(i);
    const float x = row.size() == 2 ? row[1] - row[0] : row[0];  // a softmax of two is a logistic function
    out[places[i]] = raw && row.size() == 1 ? x : 1 / (1 + std::exp(-x));
  }
  return out;
}

}  // namespace miao::runtime
