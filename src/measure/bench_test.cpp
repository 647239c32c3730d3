// The bench on a tiny model: figures that hang together, and cases that cannot run.
#include "measure/bench.h"

#include <gtest/gtest.h>

#include <filesystem>

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
