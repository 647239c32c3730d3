#include "runtime/seq2seq.h"

#include <algorithm>
#include <numeric>

#include "prep/tokenizer.h"
#include "runtime/embed.h"

namespace miao::runtime {

namespace {

struct Work {
  size_t text = 0;
  std::vector<int32_t> ids;
};

Result<void> search(Engine& engine, std::span<const Work> work, const Seq2SeqOptions& o, const BeamInput& start,
                    std::span<const TokenRule> rules, const prep::Tokenizer& tokenizer,
                    std::vector<Result<Seq2SeqAnswers>>& out) {
  std::vector<EncoderInput> inputs;
  for (const Work& w : work) inputs.push_back({.ids = w.ids});
  MIAO_TRY(const std::vector<Sequence> memory, engine.encode(inputs, o.cancel));
  std::vector<BeamInput> starts(work.size(), start);
  for (size_t i = 0; i < work.size(); ++i) starts[i].memory = &memory[i];
  MIAO_TRY(auto found, beam_search(engine, starts, o.beam, rules, o.cancel));
  for (size_t i = 0; i < work.size(); ++i) {
    Seq2SeqAnswers answers;
    for (Hypothesis& h : found[i]) {
      std::string text = tokenizer.decode(h.tokens);
      answers.push_back({std::move(text), std::move(h.tokens), h.score});
    }
    out[work[i].text] = std::move(answers);
  }
  return {};
}

}  // namespace

Result<std::vector<Result<Seq2SeqAnswers>>> seq2seq(Engine& engine, std::span<const std::string> texts,
                                                    const Seq2SeqOptions& o) {
  if (o.batch < 1) return Error{Code::invalid, "a batch holds at least one text", {}};
  if (o.start < 0) return Error{Code::invalid, "the decoder's start token is not known", {}};
  MIAO_TRY(const prep::Tokenizer* const tokenizer, engine.tokenizer());
  BeamInput start{.memory = nullptr, .prefix = {o.start}};
  if (!o.prefix.empty()) {
    MIAO_TRY(const std::vector<int32_t> ids, tokenizer->encode(o.prefix, {.add_special = false}));
    start.prefix.insert(start.prefix.end(), ids.begin(), ids.end());
  }
  const auto room = engine.ctx() - static_cast<int64_t>(start.prefix.size());
  if (room < 1) return Error{Code::invalid, "fills all positions of the decoder", "prefix"};
  TokenRuleOptions rule_options = o.rules;
  rule_options.ends = o.beam.ends;
  rule_options.max_tokens = std::min(o.beam.max_tokens, room);
  const std::vector<TokenRule> rules = token_rules(rule_options);

  std::vector<Result<Seq2SeqAnswers>> out;
  std::vector<Work> work;
  for (size_t i = 0; i < texts.size(); ++i) {
    out.emplace_back(Seq2SeqAnswers());
    auto ids = encode_text(*tokenizer, texts[i], engine.input_ctx(), o.truncate);
    if (ids.ok()) {
      work.push_back({i, std::move(*ids)});
    } else {
      out.back() = std::move(ids.error());
    }
  }
  // Texts of like lengths go together: their answers end at about the same time.
  std::stable_sort(work.begin(), work.end(), [](const Work& a, const Work& b) { return a.ids.size() > b.ids.size(); });
  for (size_t first = 0; first < work.size(); first += static_cast<size_t>(o.batch)) {
    const size_t count = std::min(static_cast<size_t>(o.batch), work.size() - first);
    MIAO_CHECK_OK(search(engine, std::span(work).subspan(first, count), o, start, rules, *tokenizer, out));
  }
  return out;
}

}  // namespace miao::runtime
