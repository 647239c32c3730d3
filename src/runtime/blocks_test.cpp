// One block at a time is the whole pass; taps of what products read.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <numeric>

#include "io/testing.h"
#include "models/testing.h"
#include "runtime/encoder.h"
#include "runtime/encoder_testing.h"
#include "runtime/engine.h"

namespace miao::runtime {
namespace {

using models::TinyModel;

std::unique_ptr<Engine> open(const TinyModel& model, const io::TempDir& dir, const EngineOptions& options) {
  EXPECT_TRUE(model.gguf().write(dir / "tiny.gguf").ok());
  auto engine = Engine::open(dir / "tiny.gguf", options);
  EXPECT_TRUE(engine.ok()) << engine.error().str();
  return std::move(*engine);
}

std::vector<int32_t> some_ids(int n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) ids[static_cast<size_t>(i)] = (7 * i + 3) % 48;
  return ids;
}

void append(std::vector<float>& out, const float* values, int64_t rows, int64_t cols, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i) out.insert(out.end(), values + i * stride, values + i * stride + cols);
}

Engine::Sink keep(std::vector<float>& out) {
  return [&out](int64_t, const Logits& logits) -> Result<void> {
    append(out, logits.row(0).data(), logits.rows(), logits.vocab(),
           logits.rows() > 1 ? logits.row(1).data() - logits.row(0).data() : 0);
    return {};
  };
}

TEST(Blocks, OneAtATimeIsTheWholePass) {
  for (const int chunk : {256, 7}) {
    for (const DType dtype : {DType::f32, DType::q8_0}) {
      const io::TempDir dir;
      const TinyModel model{.layers = 3, .dtype = dtype};
      const auto engine = open(model, dir, {.threads = 2, .chunk = chunk});
      const auto ids = some_ids(20);
      std::vector<float> want, got;
      Sequence sequence = engine->new_sequence();
      ASSERT_TRUE(engine->forward_all(sequence, ids, keep(want)).ok());
      sequence.clear();
      std::vector<float> x(20 * 40);
      const auto run = [&](graph::Blocks blocks) {
        blocks.ld = 40;
        const auto ran = engine->forward_blocks(sequence, ids, blocks, keep(got));
        EXPECT_TRUE(ran.ok()) << ran.error().str();
        EXPECT_EQ(sequence.size(), 0);
      };
      run({.first = 0, .end = 1, .out = x.data()});
      run({.first = 1, .end = 2, .in = x.data(), .out = x.data()});
      EXPECT_TRUE(got.empty());
      run({.first = 2, .end = 3, .in = x.data()});
      EXPECT_EQ(got, want);
      got.clear();
      run({.first = 0, .end = 2, .out = x.data()});  // several together, and then a second look at the last
      run({.first = 2, .end = 3, .in = x.data()});
      EXPECT_EQ(got, want);
    }
  }
}

TEST(Blocks, ErrorsAndInterruptsLeaveTheSequence) {
  const io::TempDir dir;
  const auto engine = open({}, dir, {.threads = 2});
  Sequence sequence = engine->new_sequence();
  ASSERT_TRUE(engine->forward(sequence, some_ids(5)).ok());
  std::vector<float> x(48 * 600);
  const graph::Blocks first{.first = 0, .end = 1, .out = x.data(), .ld = 32};
  EXPECT_FALSE(engine->forward_blocks(sequence, {}, first, {}).ok());
  EXPECT_FALSE(engine->forward_blocks(sequence, std::vector<int32_t>{48}, first, {}).ok());
  EXPECT_FALSE(engine->forward_blocks(sequence, some_ids(512), first, {}).ok());
  const std::atomic<bool> cancel = true;
  EXPECT_EQ(engine->forward_blocks(sequence, some_ids(5), first, {}, &cancel).error().code, Code::cancelled);
  const auto refuse = [](int64_t, const Logits&) -> Result<void> { return Error{Code::io, "full", {}}; };
  EXPECT_EQ(engine->forward_blocks(sequence, some_ids(5), {.first = 0, .end = 2}, refuse).error().code, Code::io);
  EXPECT_EQ(sequence.size(), 5);
}

// What o and down read is what attention and gate_up give, in passes of few rows and of many.
TEST(Blocks, TapsOfReads) {
  for (const int rows : {3, 40}) {
    const io::TempDir dir;
    const auto engine = open({.dtype = DType::q8_0}, dir, {.threads = 2});
    std::map<std::string, std::vector<float>> given, read;
    engine->tap([&](std::string_view name, const float* values, int64_t n, int64_t cols, int64_t stride) {
      append(given[std::string(name)], values, n, cols, stride);
    });
    std::vector<std::string> order;
    engine->tap_reads(
        [&](std::span<const Engine::Reader> readers, const float* values, int64_t n, int64_t cols, int64_t stride) {
          for (const Engine::Reader& reader : readers) {
            order.emplace_back(reader.tensor);
            append(read[order.back()], values, n, cols, stride);
          }
        });
    Sequence sequence = engine->new_sequence();
    ASSERT_TRUE(engine->forward(sequence, some_ids(rows), Want::all).ok());
    EXPECT_EQ(std::vector<std::string>(order.begin(), order.begin() + 7),
              (std::vector<std::string>{"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight",
                                        "blk.0.attn_output.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight",
                                        "blk.0.ffn_down.weight"}));
    EXPECT_EQ(order.size(), 15u);
    EXPECT_EQ(order.back(), "output.weight");
    EXPECT_EQ(read["blk.1.attn_output.weight"], given["blk.1.attn"]);
    EXPECT_EQ(read["blk.1.ffn_down.weight"], given["blk.1.gate_up"]);
    // Behind an RMS norm: rows of mean square one, times the norm's weights.
    EXPECT_EQ(read["blk.1.attn_q.weight"].size(), static_cast<size_t>(rows * 32));
    EXPECT_EQ(read["blk.1.attn_q.weight"], read["blk.1.attn_v.weight"]);
    EXPECT_NE(read["blk.1.attn_q.weight"], given["blk.0.down"]);
    engine->tap_reads({});
    order.clear();
    sequence.clear();
    ASSERT_TRUE(engine->forward(sequence, some_ids(rows)).ok());
    EXPECT_TRUE(order.empty());
  }
}

// Weights in another type give what a file of that type gives.
TEST(Blocks, ReplacedWeights) {
  const io::TempDir dir, other;
  const EngineOptions options{.threads = 2, .kv = kernels::KvType::f32};
  const auto engine = open({.dtype = DType::f32}, dir, options);
  const auto wanted = open({.dtype = DType::bf16}, other, options);  // the same weights, rounded, and the same norms
  const auto ids = some_ids(20);
  const auto logits = [&](Engine& e) {
    std::vector<float> out;
    Sequence sequence = e.new_sequence();
    EXPECT_TRUE(e.forward_all(sequence, ids, keep(out)).ok());
    return out;
  };
  const std::vector<float> first = logits(*engine);
  std::vector<TensorView> matrices, back;
  for (const TensorView& t : wanted->checkpoint().tensors()) {
    if (t.shape.size() < 2) continue;
    matrices.push_back(t);
    back.push_back({.name = t.name});
  }
  std::vector<std::string> seen;
  engine->tap([&](std::string_view name, const float*, int64_t, int64_t, int64_t) { seen.emplace_back(name); });
  ASSERT_TRUE(engine->replace(matrices).ok());
  EXPECT_EQ(logits(*engine), logits(*wanted));
  EXPECT_FALSE(seen.empty());  // taps stay
  ASSERT_TRUE(engine->replace({back.data(), back.size() - 1}).ok());
  EXPECT_NE(logits(*engine), first);
  ASSERT_TRUE(engine->replace({&back.back(), 1}).ok());
  EXPECT_EQ(logits(*engine), first);
}

TEST(Blocks, WhatCannotBeReplaced) {
  const io::TempDir dir;
  const auto engine = open({}, dir, {.threads = 2});
  const TensorView known = *engine->checkpoint().find("blk.0.attn_q.weight");
  TensorView t = known;
  t.name = "blk.9.attn_q.weight";
  EXPECT_EQ(engine->replace({&t, 1}).error().code, Code::not_found);
  t = known;
  t.shape = {16, 64};
  EXPECT_EQ(engine->replace({&t, 1}).error().code, Code::invalid);
  const TensorView norm = *engine->checkpoint().find("blk.0.attn_norm.weight");
  EXPECT_EQ(engine->replace({&norm, 1}).error().code, Code::invalid);
}

TEST(Blocks, ReadsOfExpertsAreThoseOfTheirRows) {
  const io::TempDir dir;
  const auto engine = open({.experts = 4, .experts_used = 2}, dir, {.threads = 2});
  std::map<std::string, int64_t> rows;
  engine->tap_reads([&](std::span<const Engine::Reader> readers, const float*, int64_t n, int64_t, int64_t) {
    for (const Engine::Reader& reader : readers) rows[std::string(reader.tensor)] += n;
  });
  Sequence sequence = engine->new_sequence();
  ASSERT_TRUE(engine->forward(sequence, some_ids(21), Want::all).ok());
  int64_t up = 0, down = 0;
  for (const auto& [name, n] : rows) {
    if (name.starts_with("blk.0.ffn_up")) up += n;
    if (name.starts_with("blk.0.ffn_down")) down += n;
  }
  EXPECT_EQ(rows["blk.0.ffn_gate_inp.weight"], 21);
  EXPECT_EQ(up, 42);
  EXPECT_EQ(down, 42);
}

// Texts of different lengths in several passes, pooled by the mean and by the first row, and classes.
TEST(EncoderBlocks, OneAtATimeIsTheWholePass) {
  for (const auto& [classes, mean_pool] : {std::pair{0, true}, std::pair{0, false}, std::pair{3, false}}) {
    const io::TempDir dir;
    write_tiny_bert(dir / "bert", classes, mean_pool);
    const auto encoder = *Encoder::open(dir / "bert", {.threads = 2, .batch = 12});
    std::vector<std::vector<int32_t>> texts;
    std::vector<EncoderInput> inputs;
    size_t tokens = 0;
    for (const int n : {5, 9, 20, 1, 3}) {
      texts.push_back(some_ids(n));
      tokens += texts.back().size();
    }
    for (const auto& ids : texts) inputs.push_back({.ids = ids});
    std::vector<float> want, got, x(tokens * 64);
    const Encoded whole = *encoder->run(inputs);
    for (size_t i = 0; i < texts.size(); ++i) want.insert(want.end(), whole.row(i).begin(), whole.row(i).end());
    std::map<std::string, int64_t, std::less<>> read;
    encoder->tap_reads([&](std::span<const Blockwise::Reader> readers, const float*, int64_t rows, int64_t, int64_t) {
      read[std::string(readers[0].tensor)] += rows;
    });
    ASSERT_TRUE(encoder->run_blocks(texts, {.first = 0, .end = 1, .out = x.data(), .ld = 64}, {}).ok());
    encoder->tap_reads({});
    for (const auto& [name, rows] : read) EXPECT_EQ(rows, static_cast<int64_t>(tokens)) << name;
    EXPECT_EQ(read.size(), 4u);
    int64_t next = 0;
    const auto sink = [&](int64_t first, const Logits& rows) -> Result<void> {
      EXPECT_EQ(first, next);
      next += rows.rows();
      for (int64_t i = 0; i < rows.rows(); ++i) got.insert(got.end(), rows.row(i).begin(), rows.row(i).end());
      return {};
    };
    ASSERT_TRUE(encoder->run_blocks(texts, {.first = 1, .end = 2, .in = x.data(), .ld = 64}, sink).ok());
    EXPECT_EQ(got, want);
    EXPECT_EQ(encoder->products().size(), classes ? 10u : 8u);
    // What is wrong with an input leaves nothing behind.
    texts[2][0] = 131;
    const auto wrong = encoder->run_blocks(texts, {.first = 0, .end = 2}, sink);
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().str().find("input 3"), std::string::npos) << wrong.error().str();
    const std::atomic<bool> stop{true};
    texts[2][0] = 1;
    EXPECT_EQ(encoder->run_blocks(texts, {.first = 0, .end = 2}, sink, &stop).error().code, Code::cancelled);
    EXPECT_EQ(encoder->run({{inputs[0]}})->rows(0), 1);
  }
}

TEST(EncoderBlocks, OnlyOfModelsWithBlocksOfTheirOwn) {
  const std::filesystem::path golden = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden";
  EXPECT_EQ(open_blockwise(golden / "encoders/albert", {.threads = 1}).error().code, Code::unsupported);
  EXPECT_EQ((*open_blockwise(golden / "encoders/bert", {.threads = 1}))->spec().layers, 2);
}

}  // namespace
}  // namespace miao::runtime
