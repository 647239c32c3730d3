#include "cli/chat/sampling_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cmath>

namespace miao::cli {
namespace {

// What the flags of a command line give, or the exit code of CLI11 for wrong usage.
struct Parsed {
  int error = 0;
  runtime::SamplerOptions options;
};
Parsed parse(const std::string& line, const runtime::SamplerOptions& defaults = {}) {
  CLI::App app;
  SamplingFlags flags;
  add_sampling_flags(app, flags);
  try {
    app.parse(line);
  } catch (const CLI::ParseError& error) {
    return {error.get_exit_code(), {}};
  }
  return {0, flags.over(defaults)};
}

TEST(SamplingFlags, GivenFlagsWinOverDefaults) {
  runtime::SamplerOptions defaults;
  defaults.temperature = 0.6f;
  defaults.top_k = 20;
  const auto some = parse("--top-k 0 --seed 18446744073709551615", defaults);
  EXPECT_EQ(some.error, 0);
  EXPECT_EQ(some.options.temperature, 0.6f);
  EXPECT_EQ(some.options.top_k, 0);
  EXPECT_EQ(some.options.seed, UINT64_MAX);
  EXPECT_EQ(parse("--temp 1.5", defaults).options.temperature, 1.5f);
  EXPECT_TRUE(parse("--greedy", defaults).options.greedy());
}

TEST(SamplingFlags, LogitBias) {
  const auto o = parse(
      "--logit-bias 15=-2.5 --logit-bias 3+1 --logit-bias 4-2 --logit-bias 7=-inf --logit-bias 8=+3 "
      "--logit-bias 9=0.5");
  const float wanted[] = {-2.5f, 1, -2, -INFINITY, 3, 0.5f};
  ASSERT_EQ(o.options.logit_bias.size(), 6u);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(o.options.logit_bias[i].value, wanted[i]) << i;
  EXPECT_EQ(o.options.logit_bias[0].token, 15);
}

TEST(SamplingFlags, WrongValuesAreWrongUsage) {
  for (const char* line : {"--temp -1",
                           "--temp nan",
                           "--temp inf",
                           "--temp x",
                           "--top-p 1.1",
                           "--top-p -0.1",
                           "--top-p nan",
                           "--min-p 2",
                           "--top-k -1",
                           "--top-k 0.5",
                           "--repeat-penalty 0",
                           "--repeat-penalty nan",
                           "--presence-penalty inf",
                           "--frequency-penalty nan",
                           "--repeat-last-n -2",
                           "--seed -1",
                           "--seed 1x",
                           "--seed 18446744073709551616",
                           "--greedy --temp 0.5",
                           "--logit-bias x",
                           "--logit-bias 15",
                           "--logit-bias 15=",
                           "--logit-bias =3",
                           "--logit-bias 15=a",
                           "--logit-bias 15=1x",
                           "--logit-bias 15:1",
                           "--logit-bias 99999999999=1",
                           "--logit-bias 15=--1",
                           "--logit-bias 15=nan",
                           "--logit-bias 15=inf"}) {
    EXPECT_NE(parse(line).error, 0) << line;
  }
}

}  // namespace
}  // namespace miao::cli
