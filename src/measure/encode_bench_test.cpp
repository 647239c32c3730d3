// The bench of encoders on tiny models: figures that hang together, and cases that cannot run.
#include "measure/encode_bench.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "base/file.h"
#include "io/testing.h"
#include "models/spec.h"

namespace miao::measure {
namespace {

namespace fs = std::filesystem;
using runtime::Encoder;

const fs::path kModels = fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders";

std::unique_ptr<Encoder> open(const fs::path& path, runtime::Compute compute = runtime::Compute::automatic) {
  auto encoder = Encoder::open(path, {.threads = 1, .compute = compute});
  EXPECT_TRUE(encoder.ok()) << encoder.error().str();
  return encoder.ok() ? std::move(*encoder) : nullptr;
}

constexpr const char* kTokenizer = R"({"pre_tokenizer":{"type":"Whitespace"},
 "model":{"type":"WordPiece","unk_token":"?","continuing_subword_prefix":"##","max_input_chars_per_word":100,
  "vocab":{"?":0,"a":1,"cat":2}}})";

// The golden model with a vocabulary of words beside it.
class Reader {
 public:
  Reader() {
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(kModels / "bert" / name, folder_.path() / name);
    EXPECT_TRUE(write_file_atomic(folder_.path() / "tokenizer.json", kTokenizer).ok());
    encoder = open(folder_.path());
  }
  std::unique_ptr<Encoder> encoder;

 private:
  io::TempDir folder_;
};

TEST(EncodeBench, FiguresOfRandomInputsHangTogether) {
  const auto encoder = open(kModels / "bert");
  ASSERT_TRUE(encoder);
  const auto row = bench_encode(*encoder, {.tokens = 8, .batch = 4}, {.reps = 3, .profile = true});
  ASSERT_TRUE(row.ok()) << row.error().str();
  EXPECT_EQ(row->seconds.size(), 3u);
  EXPECT_EQ(row->pass_seconds.size(), 3u * 64);
  EXPECT_EQ(row->inputs, 4 * 64);
  EXPECT_EQ(row->mean_tokens(), 8);
  EXPECT_DOUBLE_EQ(row->tok_s.median, 8 * row->inputs_s.median);
  EXPECT_LE(row->pass_p50_ms, row->pass_p99_ms);
  EXPECT_EQ(row->whole_inputs_s.median, 0);
  EXPECT_FALSE(row->profile.empty());
  EXPECT_EQ(name_of(*row), "8 tokens, batch 4");
  const double sum = std::accumulate(row->pass_seconds.begin(), row->pass_seconds.end(), 0.0);
  EXPECT_NEAR(sum, std::accumulate(row->seconds.begin(), row->seconds.end(), 0.0), 1e-9);
}

TEST(EncodeBench, TextsRunFromTheLongestToTheShortestWithTheirTokenising) {
  const Reader reader;
  ASSERT_TRUE(reader.encoder);
  const std::string texts[] = {"a", "a cat a", "cat cat"};
  const auto row = bench_texts(*reader.encoder, texts, "t.txt", 2, {.reps = 4});
  ASSERT_TRUE(row.ok()) << row.error().str();
  EXPECT_EQ(row->inputs, 3);
  EXPECT_EQ(row->tokens, 6);
  EXPECT_EQ(row->pass_seconds.size(), 4u * 2);
  EXPECT_EQ(row->tokenising_seconds.size(), 4u);
  EXPECT_LT(row->whole_inputs_s.median, row->inputs_s.median);
  EXPECT_EQ(name_of(*row), "t.txt, batch 2");
  const auto none = bench_texts(*reader.encoder, {}, "t.txt", 2, {});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().str(), "t.txt: there are no texts in it (invalid)");
}

TEST(EncodeBench, SharesFollowFromSpeedsAndLimits) {
  const Limits limits{.read = 1e9, .fp32 = 1e11, .int8 = 2e11};
  const auto encoder = open(kModels / "bert");
  ASSERT_TRUE(encoder);
  EncodeRow row{.inputs = 10, .tokens = 80, .batch = 5};
  row.tok_s.median = 1000;
  compare_with(limits, *encoder, 16, row);
  double bytes = 0;
  for (const auto& group : encoder->kernels()) bytes += static_cast<double>(group.bytes);
  EXPECT_EQ(row.peak.name, "FP32");
  EXPECT_DOUBLE_EQ(row.load.share, 1000 * row.ops_per_token / limits.fp32);
  EXPECT_DOUBLE_EQ(row.load.ops_per_byte, 40 * row.ops_per_token / (3 * bytes));  // 40 tokens are three chunks
}

// int8 weights of a floating file count as what they run as, not as what the file holds.
TEST(EncodeBench, Int8HasThePeakOfInt8AndTheSameWork) {
  const Limits limits{.read = 1e9, .fp32 = 1e11, .int8 = 2e11};
  const auto exact = open(kModels / "bert"), codes = open(kModels / "bert", runtime::Compute::int8);
  ASSERT_TRUE(exact && codes);
  EncodeRow a{.inputs = 1, .tokens = 8}, b = a;
  compare_with(limits, *exact, 16, a);
  compare_with(limits, *codes, 16, b);
  EXPECT_EQ(b.peak.name, "vector int8");
  EXPECT_EQ(b.peak.ops, limits.int8);
  EXPECT_EQ(a.ops_per_token, b.ops_per_token);
}

TEST(EncodeBench, SharedBlocksWorkOnceALayer) {
  const auto encoder = open(kModels / "albert");
  ASSERT_TRUE(encoder);
  const models::ModelSpec& spec = encoder->spec();
  ASSERT_GT(spec.layers, 1);
  for (const auto& group : encoder->kernels()) {
    if (group.weights != "o") continue;
    const auto& attention = spec.block.attn;
    EXPECT_EQ(group.products, static_cast<double>(spec.layers * spec.dim * attention.heads * attention.head_dim));
  }
}

TEST(EncodeBench, LatencyOfAWorkload) {
  const auto encoder = open(kModels / "bert");
  ASSERT_TRUE(encoder);
  auto lengths = LengthDistribution::parse("uniform:1:16", encoder->ctx());
  ASSERT_TRUE(lengths.ok());
  const auto report = bench_latency(*encoder, {.lengths = *lengths, .samples = 10, .batch = 4, .reps = 2}, 512);
  ASSERT_TRUE(report.ok()) << report.error().str();
  EXPECT_EQ(report->inputs.size(), 12u);
  EXPECT_GT(report->batch_inputs_per_second, 0);
}

TEST(EncodeBench, WhatCannotRunIsSaid) {
  const auto encoder = open(kModels / "bert");
  ASSERT_TRUE(encoder);
  const auto large = bench_encode(*encoder, {.tokens = encoder->ctx() + 1}, {.reps = 1});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Code::invalid);
  const std::atomic<bool> stop = true;
  const auto stopped = bench_encode(*encoder, {.tokens = 4}, {.reps = 1, .stop = &stop});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::cancelled);
  const std::string texts[] = {"a"};
  EXPECT_FALSE(bench_texts(*encoder, texts, "t.txt", 1, {}).ok());  // no tokenizer
  // More inputs than memory has room for are an error before they are made.
  const auto batch = bench_encode(*encoder, {.tokens = 8, .batch = int64_t{1} << 40}, {.reps = 1});
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(batch.error().code, Code::out_of_memory);
}

}  // namespace
}  // namespace miao::measure
