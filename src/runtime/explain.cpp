// See explain.h.
#include "runtime/explain.h"

#include <algorithm>

#include "models/spec.h"
#include "runtime/classify.h"
#include "runtime/words.h"

namespace miao::runtime {

namespace {

constexpr size_t kTokensAtOnce = 1 << 16;  // of variants that are held in memory

struct Word {
  size_t begin, end;  // tokens
};

std::vector<Word> words_of(const prep::Tokenizer& tokenizer, std::string_view text, const prep::LocatedIds& located,
                           size_t count) {
  std::vector<Word> out;
  for (size_t t = 0; t < count; ++t) {
    if (out.empty() || !continues_word(tokenizer, text, located, t)) out.push_back({t, t});
    out.back().end = t + 1;
  }
  return out;
}

}  // namespace

Result<Explanation> explain(Encoder& encoder, std::string_view text, const ExplainOptions& options) {
  MIAO_TRY(const ClassScale scale, class_scale(encoder));
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder.tokenizer());
  MIAO_TRY(const prep::LocatedIds located, tokenizer->locate(text, {.add_special = false}));
  const auto front = tokenizer->prefix(), back = tokenizer->suffix();
  const auto limit = static_cast<size_t>(encoder.ctx()), around = front.size() + back.size();
  if (located.ids.size() + around > limit && (!options.truncate || around >= limit)) {
    return Error{Code::invalid,
                 "it has " + std::to_string(located.ids.size() + around) + " tokens and the model reads " +
                     std::to_string(limit) + "; shorten it or ask for truncation",
                 {}};
  }
  const size_t count = std::min(located.ids.size(), limit - around);
  // The text without the tokens from `begin` to `end`.
  const auto without = [&](Word word) {
    std::vector<int32_t> ids(front.begin(), front.end());
    const auto first = located.ids.begin();
    ids.insert(ids.end(), first, first + static_cast<ptrdiff_t>(word.begin));
    ids.insert(ids.end(), first + static_cast<ptrdiff_t>(word.end), first + static_cast<ptrdiff_t>(count));
    ids.insert(ids.end(), back.begin(), back.end());
    return ids;
  };
  const auto scores =
      [&](const std::vector<std::vector<int32_t>>& variants) -> Result<std::vector<std::vector<float>>> {
    std::vector<EncoderInput> inputs;
    for (const auto& ids : variants) inputs.push_back({ids, {}});
    MIAO_TRY(const Encoded rows, encoder.run(inputs, options.cancel));
    std::vector<std::vector<float>> out;
    for (size_t i = 0; i < variants.size(); ++i) {
      out.emplace_back(rows.row(i).begin(), rows.row(i).end());
      apply_scale(scale, out.back());
    }
    return out;
  };

  MIAO_TRY(const auto whole, scores({without({0, 0})}));
  Explanation out{};
  out.label = static_cast<size_t>(std::max_element(whole[0].begin(), whole[0].end()) - whole[0].begin());
  out.score = whole[0][out.label];
  std::vector<Word> words = words_of(*tokenizer, text, located, count);
  if (words.size() == 1 && around == 0) words.clear();  // without it nothing is left to read
  const size_t at_once = std::max<size_t>(1, kTokensAtOnce / (count + around));
  for (size_t begin = 0; begin < words.size(); begin += at_once) {
    const auto some = std::span(words).subspan(begin, std::min(at_once, words.size() - begin));
    std::vector<std::vector<int32_t>> variants;
    for (const Word word : some) variants.push_back(without(word));
    MIAO_TRY(const auto rest, scores(variants));
    for (size_t i = 0; i < some.size(); ++i) {
      const prep::ByteRange range{located.ranges[some[i].begin].begin, located.ranges[some[i].end - 1].end};
      out.words.push_back({without_blanks(text, range), out.score - rest[i][out.label]});
    }
  }
  return out;
}

}  // namespace miao::runtime
