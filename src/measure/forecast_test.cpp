#include "measure/forecast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "models/testing.h"

namespace miao::measure {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";

class ForecastOf : public testing::Test {
 protected:
  ForecastOf() {
    const models::TinyModel tiny{.layers = 8, .dtype = DType::q4_0};
    EXPECT_TRUE(tiny.gguf().write(dir_ / "m.gguf").ok());
    options_.threads = 2;
    how_.seconds = 0.01;
  }
  io::Checkpoint model(const fs::path& path) const { return *io::Checkpoint::open(path); }

  const io::TempDir dir_;
  runtime::EngineOptions options_;
  ForecastOptions how_;
};

TEST_F(ForecastOf, ADecoder) {
  const ForecastCase what{.prompt = 100, .gen = 20, .users = 2};
  const auto all = forecast(model(dir_ / "m.gguf"), options_, what, how_);
  ASSERT_TRUE(all.ok()) << all.error().str();
  EXPECT_EQ(all->blocks, 8);  // a tiny model is run whole
  EXPECT_GT(all->prefill_seconds, 0);
  EXPECT_GT(all->step_seconds, 0);
  EXPECT_DOUBLE_EQ(prefill_rate(*all, what), 200 / all->prefill_seconds);
  EXPECT_DOUBLE_EQ(decode_rate(*all, what), 2 / all->step_seconds);
  how_.least_bytes = 1;
  how_.prefill = false;
  const auto one = forecast(model(dir_ / "m.gguf"), options_, what, how_);
  ASSERT_TRUE(one.ok()) << one.error().str();
  EXPECT_EQ(one->blocks, 1);
  EXPECT_GT(one->step_seconds, 0);
  EXPECT_EQ(prefill_rate(*one, what), 0);
}

TEST_F(ForecastOf, EveryShapeOfPromptAndContext) {
  how_.seconds = 0;
  for (const ForecastCase what : {ForecastCase{.prompt = 1, .gen = 1, .users = 1},
                                  {.prompt = 0, .gen = 4, .users = 3},
                                  {.prompt = 300, .gen = 10, .users = 1},
                                  {.prompt = 3, .gen = 1, .users = 300}}) {
    const auto got = forecast(model(dir_ / "m.gguf"), options_, what, how_);
    ASSERT_TRUE(got.ok()) << got.error().str();
    EXPECT_GT(got->step_seconds, 0);
    EXPECT_EQ(got->prefill_seconds > 0, what.prompt > 0);
  }
}

TEST_F(ForecastOf, GoldenModels) {
  how_.seconds = 0;
  how_.least_bytes = 1;
  for (const char* name : {"gemma3", "mixtral", "opt-350m", "gpt2", "phi3", "llama-sharded"}) {
    const auto got = forecast(model(kGolden / "models" / name), options_, {.prompt = 8, .gen = 4}, how_);
    ASSERT_TRUE(got.ok()) << name << got.error().str();
    EXPECT_TRUE(std::isfinite(got->step_seconds) && got->step_seconds > 0) << name;
  }
}

TEST_F(ForecastOf, AnEncoder) {
  how_.least_bytes = 1;
  for (const char* name : {"bert", "albert", "modernbert-sequence"}) {
    const auto got = forecast(model(kGolden / "encoders" / name), runtime::EncoderOptions{.threads = 2},
                              {.prompt = 12, .users = 3}, how_);
    ASSERT_TRUE(got.ok()) << name << got.error().str();
    EXPECT_GT(got->prefill_seconds, 0);
    EXPECT_EQ(got->step_seconds, 0);
  }
}

TEST_F(ForecastOf, WhatCannotBe) {
  const auto t5 = forecast(model(kGolden / "seq2seq/t5"), options_, {.prompt = 4, .gen = 4}, how_);
  ASSERT_FALSE(t5.ok());
  EXPECT_EQ(t5.error().code, Code::unsupported);
  const std::atomic<bool> cancel{true};
  options_.cancel = &cancel;
  const auto cancelled = forecast(model(dir_ / "m.gguf"), options_, {.prompt = 4, .gen = 4}, how_);
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code, Code::cancelled);
}

}  // namespace
}  // namespace miao::measure
