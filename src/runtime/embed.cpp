// See embed.h. Texts are run from the longest to the shortest, so that passes are full, and come back in their order.
#include "runtime/embed.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "models/spec.h"
#include "prep/tokenizer.h"

namespace miao::runtime {

Result<std::vector<int32_t>> fit_tokens(std::vector<int32_t> ids, Around around, int64_t limit, bool truncate) {
  const auto size = static_cast<int64_t>(ids.size()), back = static_cast<int64_t>(around.back);
  if (size <= limit) return ids;
  if (!truncate) {
    return Error{Code::invalid,
                 "it has " + std::to_string(size) + " tokens and the model reads " + std::to_string(limit) +
                     "; shorten it or ask for truncation",
                 {}};
  }
  if (static_cast<int64_t>(around.front) + back > limit) {
    return Error{Code::invalid, "it cannot be cut to " + std::to_string(limit) + " tokens", {}};
  }
  ids.erase(ids.begin() + limit - back, ids.end() - back);
  return ids;
}

Result<std::vector<int32_t>> encode_text(const prep::Tokenizer& tokenizer, std::string_view text, int64_t limit,
                                         bool truncate) {
  MIAO_TRY(std::vector<int32_t> ids, tokenizer.encode(text));
  return fit_tokens(std::move(ids), {tokenizer.prefix().size(), tokenizer.suffix().size()}, limit, truncate);
}

int64_t text_limit(const Encoder& encoder) {
  const auto& sentence = encoder.spec().sentence;
  return sentence && sentence->max_tokens > 0 ? std::min(sentence->max_tokens, encoder.ctx()) : encoder.ctx();
}

Result<std::string> find_prompt(const Encoder& encoder, std::string_view name) {
  std::string known;
  if (const auto& sentence = encoder.spec().sentence) {
    for (const auto& [key, text] : sentence->prompts) {
      if (key == name) return text;
      known += (known.empty() ? "" : ", ") + key;
    }
  }
  return Error{Code::not_found,
               "the model has no prompt named '" + std::string(name) + "'" +
                   (known.empty() ? "; it has none" : "; it has " + known),
               {}};
}

Result<std::vector<std::vector<int32_t>>> text_ids(Encoder& encoder, std::span<const std::string> texts,
                                                   const EmbedOptions& options) {
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder.tokenizer());
  std::string prompt = options.prompt.value_or("");
  const auto& sentence = encoder.spec().sentence;
  if (!options.prompt && sentence && !sentence->default_prompt.empty()) {
    MIAO_TRY(prompt, find_prompt(encoder, sentence->default_prompt));
  }
  const int64_t limit = text_limit(encoder);
  std::vector<std::vector<int32_t>> ids;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto encoded = encode_text(*tokenizer, prompt.empty() ? texts[i] : prompt + texts[i], limit, options.truncate);
    if (!encoded.ok()) return std::move(encoded.error()).at("text " + std::to_string(i + 1));
    ids.push_back(std::move(*encoded));
  }
  return ids;
}

Result<std::vector<float>> embed(Encoder& encoder, std::span<const std::string> texts, const EmbedOptions& options) {
  MIAO_CHECK(encoder.spec().head.task == models::HeadSpec::Task::embedding);
  MIAO_TRY(const auto ids, text_ids(encoder, texts, options));
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ids[a].size() > ids[b].size(); });
  std::vector<EncoderInput> inputs;
  for (const size_t i : order) inputs.push_back({ids[i], {}});
  MIAO_TRY(const Encoded rows, encoder.run(inputs, options.cancel));
  const auto dim = static_cast<size_t>(encoder.spec().dim);
  std::vector<float> out(texts.size() * dim);
  for (size_t n = 0; n < order.size(); ++n) {
    const auto row = rows.row(n);
    std::copy(row.begin(), row.end(), out.begin() + static_cast<ptrdiff_t>(order[n] * dim));
  }
  return out;
}

}  // namespace miao::runtime
