#include "cli/chat/sampling_flags.h"

#include <gtest/gtest.h>

#include <cmath>

namespace miao::cli {
namespace {

TEST(SamplingFlags, GivenFlagsWinOverDefaults) {
  runtime::SamplerOptions defaults;
  defaults.temperature = 0.6f;
  defaults.top_k = 20;
  SamplingFlags flags;
  flags.top_k = 0;
  flags.seed = 3;
  const auto o = flags.over(defaults);
  ASSERT_TRUE(o.ok());
  EXPECT_EQ(o->temperature, 0.6f);
  EXPECT_EQ(o->top_k, 0);
  EXPECT_EQ(o->seed, 3u);
  flags.temperature = 1.5f;
  EXPECT_EQ(flags.over(defaults)->temperature, 1.5f);
  flags.greedy = true;
  EXPECT_TRUE(flags.over(defaults)->greedy());
}

TEST(SamplingFlags, LogitBias) {
  SamplingFlags flags;
  flags.logit_bias = {"15=-2.5", "3+1", "4-2", "7=-inf", "8=+3", "9=0.5"};
  const auto o = flags.over({});
  ASSERT_TRUE(o.ok());
  const float wanted[] = {-2.5f, 1, -2, -INFINITY, 3, 0.5f};
  ASSERT_EQ(o->logit_bias.size(), 6u);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(o->logit_bias[i].value, wanted[i]) << i;
  EXPECT_EQ(o->logit_bias[0].token, 15);
  for (const char* bad : {"", "x", "15", "15=", "=3", "15=a", "15=1x", "15:1", "99999999999=1", "15=--1"}) {
    flags.logit_bias = {bad};
    EXPECT_FALSE(flags.over({}).ok()) << bad;
  }
}

}  // namespace
}  // namespace miao::cli
