// Multiple choice by likelihood: sums against the plain way, one choice after another; figures of known answers.
#include <gtest/gtest.h>

#include <cmath>

#include "measure/intervals.h"
#include "measure/quality.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"
#include "runtime/likelihood.h"
#include "runtime/testing.h"

namespace miao::measure {
namespace {

using runtime::Engine;

class Choices : public testing::Test {
 protected:
  Choices() { EXPECT_TRUE(runtime::talking_model().write(folder_ / "m.gguf").ok()); }
  std::unique_ptr<Engine> open(runtime::EngineOptions options = {}) {
    options.threads = options.threads ? options.threads : 2;
    auto engine = Engine::open(folder_ / "m.gguf", options);
    EXPECT_TRUE(engine.ok()) << engine.error().str();
    return engine.ok() ? std::move(*engine) : nullptr;
  }
  static std::vector<Question> questions(int count) {
    std::vector<Question> out;
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(i * 7);
      out.push_back({"the cat number " + n + (i % 3 == 0 ? " " : ""),
                     {"sat", "the mat " + n, "sang and sat", std::string(1, static_cast<char>('a' + i % 26))},
                     i % 4});
    }
    return out;
  }

  io::TempDir folder_;
};

TEST_F(Choices, RatesAreThoseOfEachChoiceByItself) {
  const auto engine = open();
  ASSERT_TRUE(engine);
  const prep::Tokenizer& tokenizer = **engine->tokenizer();
  const auto asked = questions(40);
  const auto records = measure_choices(*engine, nullptr, asked, {});
  ASSERT_TRUE(records.ok()) << records.error().str();
  ASSERT_EQ(records->picks.size(), 2u);
  for (size_t i = 0; i < asked.size(); ++i) {
    std::string prompt = asked[i].prompt;
    if (prompt.ends_with(' ')) prompt.pop_back();
    const size_t before = tokenizer.encode(prompt)->size();
    double best[2] = {-INFINITY, -INFINITY};
    int32_t pick[2] = {0, 0};
    for (size_t c = 0; c < 4; ++c) {
      const std::string& text = asked[i].choices[c];
      const auto ids = *tokenizer.encode(prompt + " " + text);
      const auto rated = *runtime::likelihoods(*engine, ids, static_cast<int64_t>(std::min(before, ids.size() - 1)));
      double sum = 0;
      for (const auto& token : rated) sum += double{token.own.log_probability};
      const double values[2] = {sum, sum / static_cast<double>(text.size())};
      for (int w = 0; w < 2; ++w) {
        if (values[w] > best[w]) best[w] = values[w], pick[w] = static_cast<int32_t>(c);
      }
    }
    EXPECT_EQ(records->picks[0].own[i], pick[0]) << i;
    EXPECT_EQ(records->picks[1].own[i], pick[1]) << i;
  }
  const auto one = open({.threads = 1, .chunk = 5});
  const auto again = measure_choices(*one, nullptr, std::span(asked).first(7), {});
  ASSERT_TRUE(again.ok());
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(again->picks[1].own[i], records->picks[1].own[i]);
}

TEST_F(Choices, TheSameModelChoosesTheSame) {
  const auto engine = open(), base = open();
  ASSERT_TRUE(engine && base);
  int64_t last = 0;
  const auto asked = questions(30);
  const auto records = measure_choices(*engine, base.get(), asked, {.progress = [&](int64_t done, int64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, 60);
    last = done;
  }});
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(last, 60);
  Quality q = summarise(*records, 0.95);
  EXPECT_EQ(q.find("flips")->value, 0);
  EXPECT_EQ(q.find("changed_norm")->value, 0);
  EXPECT_EQ(q.find("accuracy_change")->value, 0);
  EXPECT_EQ(q.find("mcnemar_p")->value, 1);
  // No flips among 30 do not show that fewer than one in a hundred flip.
  ASSERT_TRUE(judge(q, std::vector<Budget>{{"accuracy", 0.01, true}}).ok());
  EXPECT_EQ(q.outcome(), Outcome::not_shown);
  EXPECT_GT(q.verdicts[0].more, 0);
}

TEST(Answers, FiguresOfKnownAnswers) {
  AnswerRecords r{.task = "choices", .item = "question"};
  r.paired = true;
  AnswerRecords::Picks p{"accuracy", "accuracy", {}, {}};
  const auto add = [&](int count, int32_t own, int32_t base) {
    for (int i = 0; i < count; ++i) r.truth.push_back(0), p.own.push_back(own), p.base.push_back(base);
  };
  add(60, 0, 0), add(10, 0, 1), add(20, 1, 0), add(6, 2, 1), add(4, 1, 1);
  r.picks.push_back(p);
  const Quality q = summarise(r, 0.9);
  EXPECT_DOUBLE_EQ(q.find("accuracy")->value, 0.7);
  EXPECT_DOUBLE_EQ(q.find("accuracy")->ci->low, wilson(70, 100, 0.9).low);
  EXPECT_DOUBLE_EQ(q.find("base_accuracy")->value, 0.8);
  EXPECT_DOUBLE_EQ(q.find("accuracy_change")->value, -0.1);
  EXPECT_DOUBLE_EQ(q.find("flips")->value, 0.3);
  EXPECT_DOUBLE_EQ(q.find("changed")->value, 0.36);
  EXPECT_DOUBLE_EQ(q.find("mcnemar_p")->value, mcnemar({10, 20, 100}));
  ASSERT_EQ(q.losses.size(), 2u);
  EXPECT_DOUBLE_EQ(q.losses[0].value, 0.1);
  EXPECT_DOUBLE_EQ(*q.losses[0].upper, -paired_difference({10, 20, 100}, 0.8).low);
}

TEST_F(Choices, WhatCannotBeAsked) {
  const auto engine = open({.ctx = 16});
  ASSERT_TRUE(engine);
  const auto none = measure_choices(*engine, nullptr, {}, {});
  EXPECT_FALSE(none.ok());
  std::vector<Question> asked = questions(1);
  asked.push_back({std::string(40, 'x'), {"a", "b"}, 0});
  const auto longer = measure_choices(*engine, nullptr, asked, {});
  ASSERT_FALSE(longer.ok());
  EXPECT_EQ(longer.error().where.substr(0, 10), "question 1") << longer.error().str();
  EXPECT_NE(longer.error().message.find("the context holds 16"), std::string::npos);
  const std::atomic<bool> stop{true};
  const auto big = open();
  EXPECT_EQ(measure_choices(*big, nullptr, questions(3), {.stop = &stop}).error().code, Code::cancelled);
}

}  // namespace
}  // namespace miao::measure
