#include "runtime/seq2seq.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "prep/tokenizer.h"
#include "runtime/embed.h"

namespace miao::runtime {

namespace {

// The answers of the inputs that `which` names, still without text, into their places.
Result<void> search(Engine& engine, std::span<const std::vector<int32_t>> inputs, std::span<const size_t> which,
                    const Seq2SeqOptions& o, const BeamInput& start, std::span<const TokenRule> rules,
                    std::vector<Seq2SeqAnswers>& out) {
  std::vector<EncoderInput> read;
  for (const size_t i : which) read.push_back({.ids = inputs[i]});
  MIAO_TRY(const std::vector<Sequence> memory, engine.encode(read, o.cancel));
  std::vector<BeamInput> starts(which.size(), start);
  for (size_t n = 0; n < which.size(); ++n) {
    starts[n].memory = &memory[n];
    starts[n].number = which[n];
  }
  MIAO_TRY(auto found, beam_search(engine, starts, o.beam, rules, o.cancel));
  for (size_t n = 0; n < which.size(); ++n) {
    for (Hypothesis& h : found[n]) out[which[n]].push_back({"", std::move(h.tokens), h.score});
  }
  return {};
}

// What the decoder reads before it writes.
Result<std::vector<int32_t>> start_ids(const Engine& engine, const Seq2SeqOptions& o) {
  if (o.start < 0) return Error{Code::invalid, "the decoder's start token is not known", {}};
  std::vector<int32_t> out{o.start};
  if (o.prefix.empty()) return out;
  MIAO_TRY(const prep::Tokenizer* const tokenizer, engine.tokenizer());
  MIAO_TRY(const std::vector<int32_t> ids, tokenizer->target().encode(o.prefix, {.add_special = false}));
  out.insert(out.end(), ids.begin(), ids.end());
  return out;
}

}  // namespace

Result<std::vector<TokenLikelihood>> answer_likelihoods(Engine& engine, std::string_view text,
                                                        std::span<const int32_t> answer, const Seq2SeqOptions& o,
                                                        int64_t best) {
  MIAO_TRY(const prep::Languages::Input input, seq2seq_input(engine, text, o));
  MIAO_TRY(std::vector<int32_t> ids, start_ids(engine, o));
  const auto first = static_cast<int64_t>(ids.size());
  ids.insert(ids.end(), answer.begin(), answer.end());
  const EncoderInput read{.ids = input.ids};
  MIAO_TRY(const std::vector<Sequence> memory, engine.encode({&read, 1}, o.cancel));
  return likelihoods(engine, ids, first, best, &memory[0], o.cancel);
}

Result<std::vector<Seq2SeqAnswers>> seq2seq(Engine& engine, std::span<const std::vector<int32_t>> inputs,
                                            const Seq2SeqOptions& o) {
  if (o.batch < 1) return Error{Code::invalid, "a batch holds at least one text", {}};
  BeamInput start{.memory = nullptr};
  MIAO_TRY(start.prefix, start_ids(engine, o));
  const auto room = engine.ctx() - static_cast<int64_t>(start.prefix.size());
  if (room < 1) return Error{Code::invalid, "fills all positions of the decoder", "prefix"};
  TokenRuleOptions rule_options = o.rules;
  rule_options.ends = o.beam.ends;
  rule_options.max_tokens = std::min(o.beam.max_tokens, room);
  const std::vector<TokenRule> rules = token_rules(rule_options);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto good = engine.check_input({.ids = inputs[i]});
    if (!good.ok()) return Error(good.error()).at("input " + std::to_string(i + 1));
  }

  // Inputs of like lengths go together: their answers end at about the same time.
  std::vector<size_t> order(inputs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return inputs[i].size(); });
  std::vector<Seq2SeqAnswers> out(inputs.size());
  for (size_t first = 0; first < order.size(); first += static_cast<size_t>(o.batch)) {
    const size_t count = std::min(static_cast<size_t>(o.batch), order.size() - first);
    MIAO_CHECK_OK(search(engine, inputs, std::span(order).subspan(first, count), o, start, rules, out));
  }
  if (const auto tokenizer = engine.tokenizer(); tokenizer.ok()) {
    const prep::Tokenizer writer = (*tokenizer)->target();
    for (Seq2SeqAnswers& answers : out) {
      for (Seq2SeqAnswer& answer : answers) answer.text = writer.decode(answer.tokens);
    }
  }
  return out;
}

Result<prep::Languages::Input> seq2seq_input(const Engine& engine, std::string_view text, const Seq2SeqOptions& o) {
  MIAO_TRY(const prep::Tokenizer* const tokenizer, engine.tokenizer());
  const prep::Languages languages(*tokenizer);
  MIAO_TRY(prep::Languages::Input input, languages.encode(text, o.source, o.target, o.parse_special));
  const Around around{input.front, input.back};
  MIAO_TRY(input.ids, fit_tokens(std::move(input.ids), around, engine.input_ctx(), o.truncate));
  return input;
}

Result<std::vector<Result<Seq2SeqAnswers>>> seq2seq(Engine& engine, std::span<const std::string> texts,
                                                    const Seq2SeqOptions& options) {
  Seq2SeqOptions o = options;
  // What is wrong with the languages is wrong with every text.
  MIAO_TRY(const prep::Languages::Input nothing, seq2seq_input(engine, "", o));
  if (nothing.first) o.rules.first = *nothing.first;
  std::vector<Result<Seq2SeqAnswers>> out;
  std::vector<std::vector<int32_t>> inputs;  // of the texts that can be read
  std::vector<size_t> places;
  for (const std::string& text : texts) {
    auto input = seq2seq_input(engine, text, o);
    if (!input.ok()) {
      out.emplace_back(std::move(input.error()));
      continue;
    }
    places.push_back(out.size());
    inputs.push_back(std::move(input->ids));
    out.emplace_back(Seq2SeqAnswers());
  }
  MIAO_TRY(std::vector<Seq2SeqAnswers> answers, seq2seq(engine, inputs, o));
  for (size_t n = 0; n < places.size(); ++n) out[places[n]] = std::move(answers[n]);
  return out;
}

}  // namespace miao::runtime
