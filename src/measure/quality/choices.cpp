// See quality.h: multiple choice by likelihood. Questions go through the model some together: first what the choices of
// each have in common, then the choices from copies of that.
#include <algorithm>
#include <cmath>
#include <string>

#include "base/cpu.h"
#include "io/checkpoint.h"
#include "kernels/kernels.h"
#include "measure/divergence.h"
#include "measure/quality.h"
#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"

namespace miao::measure {

namespace {

using runtime::Engine;
using runtime::Logits;
using runtime::Sequence;
using runtime::Slice;
using runtime::Want;

constexpr int64_t kLogitsBytes = int64_t{64} << 20, kPassTokens = 1024;

bool blank(char c) { return c == ' ' || c == '\n' || c == '\t'; }

struct Choice {
  std::vector<int32_t> ids;  // with the prompt
  size_t first = 0;          // of its own tokens
  double nll = 0;
};
struct Asked {
  std::vector<Choice> choices;
  size_t common = 0;  // tokens that all choices begin with; before the first own token of any

  int64_t tokens() const {
    size_t out = common;
    for (const Choice& c : choices) out += c.ids.size() - common;
    return static_cast<int64_t>(out);
  }
};

// The ids of a choice are what it adds to those of the prompt: a blank between belongs to the choice, as most
// vocabularies have it.
Result<Asked> asked(const Engine& engine, const prep::Tokenizer& tokenizer, const Question& question) {
  constexpr prep::EncodeOptions kPlain{.add_special = false, .parse_special = false};
  std::string prompt = question.prompt, between;
  while (!prompt.empty() && blank(prompt.back())) between.insert(between.begin(), prompt.back()), prompt.pop_back();
  if (between.empty()) between = " ";
  const auto prefix = tokenizer.prefix();
  MIAO_TRY(const auto alone, tokenizer.encode(prompt, kPlain));
  Asked out;
  out.common = SIZE_MAX;
  for (const std::string& text : question.choices) {
    MIAO_TRY(const auto ids, tokenizer.encode(prompt + (blank(text[0]) ? "" : between) + text, kPlain));
    Choice choice;
    choice.ids.assign(prefix.begin(), prefix.end());
    choice.ids.insert(choice.ids.end(), ids.begin(), ids.end());
    if (choice.ids.size() < 2) return Error{Code::invalid, "is too short: nothing stands before a choice", {}};
    choice.first = std::clamp<size_t>(prefix.size() + alone.size(), 1, choice.ids.size() - 1);
    if (static_cast<int64_t>(choice.ids.size()) > engine.ctx()) {
      return Error{Code::invalid,
                   "has " + std::to_string(choice.ids.size()) + " tokens with a choice, and the context holds " +
                       std::to_string(engine.ctx()) + "; raise it (--ctx)",
                   {}};
    }
    const std::vector<int32_t>& front = out.choices.empty() ? choice.ids : out.choices[0].ids;
    const auto same = static_cast<size_t>(std::ranges::mismatch(front, choice.ids).in1 - front.begin());
    out.common = std::min({out.common, same, choice.first});
    out.choices.push_back(std::move(choice));
  }
  out.common = std::max<size_t>(out.common, 1);
  return out;
}

// A token that a row of logits is about.
struct Rated {
  Choice* choice;
  int64_t row;
  int32_t token;
  double nll = 0;
};

Result<void> rate(Engine& engine, const kernels::Kernels& k, const Logits& logits, std::vector<Rated>& rated) {
  std::vector<std::vector<float>> scratch(static_cast<size_t>(engine.pool().threads()));
  engine.pool().run([&](Worker& worker) {
    auto& own = scratch[static_cast<size_t>(worker.index)];
    own.resize(static_cast<size_t>(logits.vocab()));
    const Range part = worker.split(static_cast<int64_t>(rated.size()));
    for (int64_t i = part.begin; i < part.end; ++i) {
      Rated& r = rated[static_cast<size_t>(i)];
      r.nll = view(k, logits.row(r.row), r.token, own).nll;
    }
  });
  for (const Rated& r : rated) {
    if (!std::isfinite(r.nll)) {
      return Error{Code::corrupt, "the model gives logits that are no numbers; its file may be damaged",
                   engine.checkpoint().path().string()};
    }
    r.choice->nll += r.nll;
  }
  return {};
}

Result<void> rate_group(Engine& engine, const kernels::Kernels& k, std::span<Asked> group,
                        const std::atomic<bool>* stop) {
  std::vector<Sequence> prompts, tails;
  for (size_t i = 0; i < group.size(); ++i) prompts.push_back(engine.new_sequence());
  std::vector<Slice> slices;
  std::vector<Rated> rated;
  for (size_t i = 0; i < group.size(); ++i) {
    slices.push_back({&prompts[i], std::span(group[i].choices[0].ids).first(group[i].common), Want::last});
    for (Choice& c : group[i].choices) {
      if (c.first == group[i].common) rated.push_back({&c, static_cast<int64_t>(i), c.ids[c.first]});
    }
  }
  MIAO_TRY(const Logits first, engine.forward(slices, stop));
  MIAO_CHECK_OK(rate(engine, k, first, rated));
  slices.clear();
  rated.clear();
  std::vector<std::span<const int32_t>> rests;
  int64_t row = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    const size_t common = group[i].common;
    for (Choice& c : group[i].choices) {
      if (c.ids.size() == common + 1) continue;
      tails.push_back(prompts[i].fork());
      rests.push_back(std::span<const int32_t>(c.ids).subspan(common, c.ids.size() - 1 - common));
      for (size_t t = common; t + 1 < c.ids.size(); ++t, ++row) {
        if (t + 1 >= c.first) rated.push_back({&c, row, c.ids[t + 1]});
      }
    }
  }
  if (tails.empty()) return {};
  for (size_t i = 0; i < tails.size(); ++i) slices.push_back({&tails[i], rests[i], Want::all});
  MIAO_TRY(const Logits logits, engine.forward(slices, stop));
  return rate(engine, k, logits, rated);
}

int64_t letters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

struct Chosen {
  std::vector<int32_t> plain, by_letter;
};

void choose(const Question& question, const Asked& rated, Chosen& out) {
  size_t best[2] = {0, 0};
  const auto value = [&](size_t i, bool by_letter) {
    const double sum = -rated.choices[i].nll;
    return by_letter ? sum / static_cast<double>(letters(question.choices[i])) : sum;
  };
  for (size_t i = 1; i < rated.choices.size(); ++i) {
    for (const bool by_letter : {false, true}) {
      if (value(i, by_letter) > value(best[by_letter], by_letter)) best[by_letter] = i;
    }
  }
  out.plain.push_back(static_cast<int32_t>(best[0]));
  out.by_letter.push_back(static_cast<int32_t>(best[1]));
}

Result<Chosen> answers(Engine& engine, std::span<const Question> questions, const QualityRun& run, int64_t before,
                       int64_t total) {
  const std::string where = engine.checkpoint().path().string();
  if (engine.spec().shape != models::ModelSpec::Shape::decoder)
    return Error{Code::unsupported, "is no decoder; how likely a choice is can be asked of decoders only", where};
  MIAO_TRY(const prep::Tokenizer* tokenizer, engine.tokenizer());
  MIAO_TRY(const kernels::Kernels* k, kernels::select(cpu_features(), engine.isa()));
  const int64_t rows = kLogitsBytes / (engine.vocab() * static_cast<int64_t>(sizeof(float)));
  const int64_t most = std::min(kPassTokens, rows);
  Chosen out;
  std::vector<Asked> group;
  int64_t tokens = 0;
  for (size_t i = 0; i < questions.size(); ++i) {
    auto next = asked(engine, *tokenizer, questions[i]);
    if (!next.ok()) return std::move(next.error()).at("question " + std::to_string(i + 1));
    tokens += next->tokens();
    group.push_back(std::move(*next));
    if (tokens < most && i + 1 < questions.size()) continue;
    MIAO_CHECK_OK(rate_group(engine, *k, group, run.stop));
    for (size_t j = 0; j < group.size(); ++j) choose(questions[i + 1 - group.size() + j], group[j], out);
    group.clear();
    tokens = 0;
    if (run.progress) run.progress(before + static_cast<int64_t>(i) + 1, total);
  }
  return out;
}

}  // namespace

Result<AnswerRecords> measure_choices(Engine& model, Engine* base, std::span<const Question> questions,
                                      const QualityRun& run) {
  if (questions.empty()) return Error{Code::invalid, "there are no questions", {}};
  const auto count = static_cast<int64_t>(questions.size());
  const int64_t total = base ? 2 * count : count;
  AnswerRecords out{.task = "choices", .item = "question"};
  out.paired = base != nullptr;
  for (const Question& q : questions) out.truth.push_back(q.answer);
  MIAO_TRY(Chosen own, answers(model, questions, run, 0, total));
  Chosen other;
  if (base) {
    MIAO_TRY(other, answers(*base, questions, run, count, total));
  }
  out.picks.push_back({"accuracy", "accuracy", std::move(own.plain), std::move(other.plain)});
  out.picks.push_back({"accuracy_norm", "accuracy by letter", std::move(own.by_letter), std::move(other.by_letter)});
  out.notes.emplace_back(
      "a choice is rated by the sum of ln p of its tokens behind the prompt; 'by letter' divides that by its letters");
  return out;
}

}  // namespace miao::measure
