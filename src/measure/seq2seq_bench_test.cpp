// The bench of encoder-decoders on tiny models: figures that hang together, and cases that cannot run.
#include "measure/seq2seq_bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace miao::measure {
namespace {

using runtime::Engine;

std::unique_ptr<Engine> open(const char* name) {
  const auto path = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/seq2seq" / name;
  auto engine = Engine::open(path, {.threads = 1});
  EXPECT_TRUE(engine.ok()) << engine.error().str();
  return engine.ok() ? std::move(*engine) : nullptr;
}

TEST(Seq2SeqBench, FiguresHangTogether) {
  const auto engine = open("t5");
  ASSERT_TRUE(engine);
  const auto row = bench_seq2seq(*engine, {.prompt = 8, .gen = 5, .batch = 3, .beams = 2}, {.reps = 4});
  ASSERT_TRUE(row.ok()) << row.error().str();
  ASSERT_EQ(row->encode_seconds.size(), 4u);
  ASSERT_EQ(row->search_seconds.size(), 4u);
  double slowest = 0, fastest = 1e9;
  for (size_t i = 0; i < 4; ++i) {
    const double ms = 1e3 * (row->encode_seconds[i] + row->search_seconds[i]);
    slowest = std::max(slowest, ms), fastest = std::min(fastest, ms);
  }
  EXPECT_LE(fastest, row->latency_p50_ms);
  EXPECT_LE(row->latency_p50_ms, row->latency_p90_ms);
  EXPECT_LE(row->latency_p90_ms, slowest);
  EXPECT_DOUBLE_EQ(row->encode_tok_s.max, 3 * 8 / *std::ranges::min_element(row->encode_seconds));
  EXPECT_DOUBLE_EQ(row->written_tok_s.max, 3 * 5 / *std::ranges::min_element(row->search_seconds));
  EXPECT_EQ(row->written(), 4 * 3 * 5);
  EXPECT_TRUE(row->profile.empty());
  EXPECT_EQ(name_of(*row), "8 to 5 tokens, beam 2, batch 3");
}

// These models write an end early where they may; the profile counts every pass, one a token.
TEST(Seq2SeqBench, NoAnswerIsShorterThanAskedFor) {
  for (const char* name : {"bart", "marian", "marian-two", "pegasus", "m2m_100"}) {
    const auto engine = open(name);
    ASSERT_TRUE(engine);
    for (const int64_t beams : {1, 4}) {
      int64_t rows = 0;  // of logits: those of the warm-up and of a repetition
      engine->tap([&](std::string_view step, const float*, int64_t n, int64_t, int64_t) {
        if (step == "lm_head") rows += n;
      });
      const auto row = bench_seq2seq(*engine, {.prompt = 7, .gen = 20, .batch = 2, .beams = beams}, {.reps = 1});
      ASSERT_TRUE(row.ok()) << name << ": " << row.error().str();
      EXPECT_EQ(rows, 2 * 2 * (1 + 19 * beams)) << name;  // a search begins with one beam
    }
  }
}

TEST(Seq2SeqBench, TheProfileHasTheStepsOfBothParts) {
  const auto engine = open("bart");
  ASSERT_TRUE(engine);
  const auto row = bench_seq2seq(*engine, {.prompt = 4, .gen = 3}, {.reps = 1, .profile = true});
  ASSERT_TRUE(row.ok()) << row.error().str();
  for (const char* step : {"cross_kv", "cross_attn", "lm_head"})
    EXPECT_EQ(std::ranges::count(row->profile, step, [](const auto& entry) { return entry.first; }), 1) << step;
}

TEST(Seq2SeqBench, WhatCannotRunIsSaid) {
  const auto engine = open("bart");
  ASSERT_TRUE(engine);
  const struct {
    Seq2SeqCase what;
    Code code;
    const char* message;
  } cases[] = {
      {{.prompt = engine->input_ctx() + 1}, Code::invalid, "inputs of 65 tokens are too long: this model reads 64"},
      {{.gen = engine->ctx() + 1}, Code::invalid, "needs 65 positions, but the context has 64"},
      {{.beams = 257}, Code::invalid, "257 beams are not within 1 to 256"},
      // More than memory has room for is an error before it is made.
      {{.prompt = 8, .batch = int64_t{1} << 40}, Code::out_of_memory, "keys and values"},
      {{.prompt = 1, .gen = 64, .batch = int64_t{1} << 24, .beams = 256}, Code::out_of_memory, "keys and values"}};
  for (const auto& c : cases) {
    const auto row = bench_seq2seq(*engine, c.what, {.reps = 1});
    ASSERT_FALSE(row.ok()) << c.message;
    EXPECT_EQ(row.error().code, c.code);
    EXPECT_NE(row.error().message.find(c.message), std::string::npos) << row.error().message;
  }
  const std::atomic<bool> stop = true;
  const auto stopped = bench_seq2seq(*engine, {}, {.reps = 1, .stop = &stop});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::cancelled);
  const auto longest = bench_seq2seq(*engine, {.prompt = engine->input_ctx(), .gen = engine->ctx()}, {.reps = 1});
  EXPECT_TRUE(longest.ok()) << longest.error().str();
}

}  // namespace
}  // namespace miao::measure
