#include "measure/budget.h"

#include <gtest/gtest.h>

#include <cmath>

#include "measure/bootstrap.h"
#include "measure/distributions.h"
#include "measure/intervals.h"
#include "runtime/rng.h"

namespace miao::measure {
namespace {

TEST(Budget, IsReadAsPeopleWriteIt) {
  for (const char* text : {"ppl:2%", "ppl<=2%", "ppl=2%", " ppl <= 2 % ", "ppl:0.02"}) {
    const auto budget = parse_budget(text);
    ASSERT_TRUE(budget.ok()) << text;
    EXPECT_EQ(budget->metric, "ppl");
    EXPECT_DOUBLE_EQ(budget->margin, 0.02);
  }
  EXPECT_EQ(parse_budget("ppl<=2%")->text(), "ppl:2%");
  EXPECT_EQ(parse_budget("kld:0.02")->text(), "kld:0.02");
  EXPECT_EQ(parse_budget("kld:1.5")->margin, 1.5);  // no share
  EXPECT_EQ(parse_budget("1%")->metric, "");
  EXPECT_EQ(parse_budget("1%")->text(), "1%");
}

TEST(Budget, WhatIsNoneIsAnError) {
  const auto why = [](const char* text) {
    const auto budget = parse_budget(text);
    return budget.ok() ? "" : budget.error().message;
  };
  EXPECT_NE(why("speed:2%").find("no metric 'speed', but ppl, kld"), std::string::npos);
  EXPECT_NE(why(":2%").find("no metric ''"), std::string::npos);
  for (const char* text : {"", "ppl", "ppl:", "ppl:x", "ppl:2%x", "ppl:nan", "ppl:inf", "ppl:1e999"})
    EXPECT_NE(why(text).find("METRIC:VALUE"), std::string::npos) << text;
  EXPECT_NE(why("ppl:0").find("not above 0"), std::string::npos);
  EXPECT_NE(why("ppl:-1%").find("not above 0"), std::string::npos);
  EXPECT_NE(why("kld:2%").find("leave the % out"), std::string::npos);
  EXPECT_NE(why("ppl:2").find("has a %"), std::string::npos);
  EXPECT_NE(why("2").find("has a %"), std::string::npos);
}

TEST(Budget, VerdictsAreOfTheBound) {
  const Budget margin{"kld", 0.02, false};
  EXPECT_EQ(judge(margin, {"kld", 0.010, 0.019, 100, 8}, 0.95).outcome, Outcome::passes);
  EXPECT_EQ(judge(margin, {"kld", 0.010, 0.021, 100, 8}, 0.95).outcome, Outcome::not_shown);
  EXPECT_EQ(judge(margin, {"kld", 0.010, 0.020, 100, 8}, 0.95).outcome, Outcome::not_shown);
  EXPECT_EQ(judge(margin, {"kld", 0.020, 0.030, 100, 8}, 0.95).outcome, Outcome::fails);
  EXPECT_EQ(judge(margin, {"kld", -0.01, -0.005, 100, 8}, 0.95).outcome, Outcome::passes);
  EXPECT_EQ(judge(margin, {"kld", NAN, NAN, 100, 8}, 0.95).outcome, Outcome::fails);
  const Verdict few = judge(margin, {"kld", 0.010, {}, 3, 8}, 0.95);
  EXPECT_EQ(few.outcome, Outcome::not_shown);
  EXPECT_EQ(few.more, 5);
  EXPECT_STREQ(name(Outcome::not_shown), "not shown");
}

TEST(Budget, ALoneFigureIsJudgedByItself) {
  const Loss fall{.metric = "evaluate", .value = 0.5, .lone = true, .whole = 50.0};
  const auto outcome = [&](const char* text) { return judge(*parse_budget(text), fall, 0.95).outcome; };
  EXPECT_EQ(outcome("evaluate:0.6"), Outcome::passes);  // in its own unit
  EXPECT_EQ(outcome("evaluate:0.4"), Outcome::fails);
  EXPECT_EQ(outcome("evaluate:1.1%"), Outcome::passes);  // 0.5 of 50
  EXPECT_EQ(outcome("evaluate:0.9%"), Outcome::fails);
  EXPECT_EQ(judge(*parse_budget("evaluate:2%"), fall, 0.95).loss.value, 0.01);
  EXPECT_EQ(fall.feared(), 0.5);
  EXPECT_EQ((Loss{.metric = "kld", .value = 0.5}.feared()), 1.0);
  EXPECT_EQ((Loss{.metric = "kld", .value = 0.5, .upper = 0.7}.feared()), 0.7);
  const Loss negative{.metric = "evaluate", .value = 0.5, .lone = true, .whole = -50.0};  // log-likelihoods are
  EXPECT_EQ(judge(*parse_budget("evaluate:2%"), negative, 0.95).loss.value, 0.01);
  EXPECT_EQ(loss_metrics().find("evaluate"), std::string::npos);
}

// Half the way to the margin at 100 units; at 100 (0.02 / 0.01)^2 the bound would be there in every second sample.
TEST(Budget, NotShownSaysHowMuchMore) {
  const Verdict v = judge({"kld", 0.02, false}, {"kld", 0.01, 0.03, 100, 8}, 0.95);
  const double luck = 1 + normal_quantile(0.8) / normal_quantile(0.95);
  EXPECT_NEAR(static_cast<double>(v.more), 400 * luck * luck - 100, 1.5);
  EXPECT_GT(judge({"kld", 0.02, false}, {"kld", 0.0199999999, 0.03, 100, 8}, 0.95).more, 1'000'000'000);
}

// Losses as large as the margin pass once in twenty trials; the promised number of units shows what is below it.
TEST(SlowBudget, PassesWronglyAsSeldomAsItSays) {
  runtime::Rng rng(11);
  const auto verdict = [&](double truth, size_t units) {
    std::vector<double> x(units);
    const std::vector<double> ones(units, 1);
    for (double& v : x) v = truth + 0.01 * normal_quantile(rng.uniform() * (1 - 1e-9) + 1e-10);
    const Bootstrap b(units, weighted_mean(x, ones), {.resamples = 500, .seed = rng.next(), .percentile = false});
    return judge({"ppl", 0.02, true}, {"ppl", b.value(), b.bound(0.95), static_cast<int64_t>(units), 8}, 0.95);
  };
  constexpr int kTrials = 2000;
  int wrong = 0, shown = 0;
  for (int t = 0; t < kTrials; ++t) wrong += verdict(0.02, 40).outcome == Outcome::passes;
  EXPECT_LE(wrong, 0.065 * kTrials);
  EXPECT_GE(wrong, 0.035 * kTrials);
  // 0.002 below the margin with 40 units of deviation 0.01, by the formula for exact values
  const double bound = 0.018 + normal_quantile(0.95) * 0.01 / std::sqrt(40.0);
  const Verdict plan = judge({"ppl", 0.02, true}, {"ppl", 0.018, bound, 40, 8}, 0.95);
  ASSERT_EQ(plan.outcome, Outcome::not_shown);
  for (int t = 0; t < kTrials; ++t)
    shown += verdict(0.018, static_cast<size_t>(40 + plan.more)).outcome == Outcome::passes;
  EXPECT_NEAR(shown, 0.8 * kTrials, 0.03 * kTrials);
}

}  // namespace
}  // namespace miao::measure
