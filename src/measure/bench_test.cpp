// The bench on a tiny model: figures that hang together, and cases that cannot run.
#include "measure/bench.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "measure/workload.h"

namespace miao::measure {
namespace {

class Bench : public testing::Test {
 protected:
  void SetUp() override {
    runtime::EngineOptions options;
    options.threads = 1;
    options.ctx = 64;
    auto engine = runtime::Engine::open(std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/models/llama", options);
    ASSERT_TRUE(engine.ok()) << engine.error().str();
    engine_ = std::move(*engine);
  }

  std::unique_ptr<runtime::Engine> engine_;
};

TEST_F(Bench, FiguresHangTogether) {
  const auto row = bench(*engine_, {.prompt = 8, .gen = 4, .batch = 2}, {.reps = 3});
  ASSERT_TRUE(row.ok()) << row.error().str();
  EXPECT_EQ(row->prefill_seconds.size(), 3u);
  EXPECT_EQ(row->step_seconds.size(), 12u);
  EXPECT_GT(row->prefill_tok_s.min, 0);
  EXPECT_LE(row->prefill_tok_s.min, row->prefill_tok_s.median);
  EXPECT_LE(row->decode_tok_s.median, row->decode_tok_s.max);
  EXPECT_LE(row->itl_p50_ms, row->itl_p99_ms);
}

// A profile of what did not run is none, not that of the other phase.
TEST_F(Bench, PhasesThatAreLeftOutHaveNoProfile) {
  const auto prefill = bench(*engine_, {.prompt = 8, .gen = 0}, {.reps = 1, .profile = true});
  ASSERT_TRUE(prefill.ok());
  EXPECT_FALSE(prefill->prefill_profile.empty());
  EXPECT_TRUE(prefill->decode_profile.empty());
  const auto decode = bench(*engine_, {.prompt = 0, .gen = 2}, {.reps = 1, .profile = true});
  ASSERT_TRUE(decode.ok());
  EXPECT_TRUE(decode->prefill_profile.empty());
  EXPECT_FALSE(decode->decode_profile.empty());
}

TEST_F(Bench, SharesFollowFromSpeedsAndLimits) {
  const Limits limits{.read = 1e9, .fp32 = 1e11, .int8 = 2e11};
  BenchRow row;
  row.what = {.prompt = 40, .gen = 8, .batch = 2};
  row.prefill_tok_s.median = 1000;
  row.decode_tok_s.median = 100;
  double weights = 0, head = 0;
  for (const auto& group : engine_->kernels()) {
    weights += static_cast<double>(group.bytes);
    if (group.weights == "lm_head") head = static_cast<double>(group.bytes);
  }
  const Roofline roof = roofline(*engine_, limits, row, 16);
  const double kv = static_cast<double>(engine_->memory().kv_per_token);
  EXPECT_DOUBLE_EQ(roof.bytes_per_token, weights);
  EXPECT_GT(roof.decode_ops_per_token, roof.prefill_ops_per_token);
  EXPECT_DOUBLE_EQ(roof.decode.ops_per_second, 100 * roof.decode_ops_per_token);
  EXPECT_DOUBLE_EQ(roof.decode.share, (weights / 2 + 4 * kv) * 100 / 1e9);
  EXPECT_DOUBLE_EQ(roof.prefill.share, 1000 * roof.prefill_ops_per_token / roof.peak.ops);
  EXPECT_DOUBLE_EQ(roof.prefill.ops_per_byte,  // 80 tokens are five chunks
                   80 * roof.prefill_ops_per_token / (5 * (weights - head) + head + 80 * kv));
}

TEST_F(Bench, LatencyOfAWorkload) {
  auto lengths = LengthDistribution::parse("uniform:1:40", 64);
  ASSERT_TRUE(lengths.ok());
  const auto report = bench_latency(*engine_, {.lengths = *lengths, .samples = 10, .batch = 4, .reps = 2}, 16);
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->threads, 1);
  EXPECT_EQ(report->inputs.size(), 12u);
  EXPECT_EQ(report->tau.chunk, 16);
  EXPECT_GT(report->predicted.value, 0);
  EXPECT_LE(report->measured.ci.low, report->measured.value);
  auto most = LengthDistribution::parse("uniform:1:64", 64);
  const auto large = bench_latency(*engine_, {.lengths = *most, .batch = int64_t{1} << 40}, 16);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Code::out_of_memory);
}

TEST_F(Bench, WhatDoesNotFitIsSaidBeforeItRuns) {
  const auto batch = bench(*engine_, {.prompt = 8, .gen = 4, .batch = int64_t{1} << 40}, {.reps = 1});
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.error().code, Code::out_of_memory);
  const auto wraps = bench(*engine_, {.prompt = 8, .gen = 4, .batch = INT64_MAX}, {.reps = 1});
  ASSERT_FALSE(wraps.ok());
  EXPECT_EQ(wraps.error().code, Code::out_of_memory);
  const auto ctx = bench(*engine_, {.prompt = 65, .gen = 0}, {.reps = 1});
  ASSERT_FALSE(ctx.ok());
  EXPECT_EQ(ctx.error().code, Code::invalid);
}

TEST_F(Bench, StopsWhenTold) {
  const std::atomic<bool> stop = true;
  const auto row = bench(*engine_, {.prompt = 8, .gen = 4}, {.reps = 1, .stop = &stop});
  ASSERT_FALSE(row.ok());
  EXPECT_EQ(row.error().code, Code::cancelled);
  auto lengths = LengthDistribution::parse("uniform:1:8", 64);
  ASSERT_TRUE(lengths.ok());
  const auto report = bench_latency(*engine_, {.lengths = *lengths, .stop = &stop}, 256);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, Code::cancelled);
}

}  // namespace
}  // namespace miao::measure
