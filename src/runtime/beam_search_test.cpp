// What seq2seq_golden_test.cpp does not show of beam_search(): the options that are not transformers'.
#include "runtime/beam_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "io/npy.h"
#include "runtime/engine.h"

namespace miao::runtime {
namespace {

class BeamOptionsTest : public testing::Test {
 protected:
  static constexpr int32_t kEnd = 2;

  BeamOptionsTest() {
    const auto folder = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/seq2seq/whisper";
    engine_ = std::move(*Engine::open(folder, {.threads = 1, .kv = kernels::KvType::f32}));
    const io::Matrix features = *io::read_npy(folder / "features.npy");
    const EncoderInput input{
        .ids = {}, .types = {}, .features = {features.row(0).data(), static_cast<size_t>(100 * features.cols)}};
    memory_ = std::move(*engine_->encode({&input, 1}));
    options_.ends = {kEnd};
    options_.max_tokens = 12;
  }
  std::vector<Hypothesis> search(std::span<const TokenRule> rules = {}, const Sequence* begun = nullptr) {
    const BeamInput input{&memory_[0], {3, 5, 7}, begun};
    auto found = beam_search(*engine_, {&input, 1}, options_, rules);
    EXPECT_TRUE(found.ok()) << found.error().str();
    return std::move((*found)[0]);
  }
  // Nothing but these.
  static TokenRule only(std::vector<int32_t> tokens) {
    return [tokens](std::span<const int32_t>, size_t, std::span<float> scores) {
      for (size_t i = 0; i < scores.size(); ++i) {
        if (std::ranges::find(tokens, static_cast<int32_t>(i)) == tokens.end()) {
          scores[i] = -std::numeric_limits<float>::infinity();
        }
      }
    };
  }

  std::unique_ptr<Engine> engine_;
  std::vector<Sequence> memory_;
  BeamOptions options_;
};

TEST_F(BeamOptionsTest, WhatHasBegunIsNotReadAgain) {
  options_.beams = options_.best = 3;
  const auto whole = search();
  Sequence begun = engine_->new_sequence();
  const std::vector<int32_t> first{3, 5};
  ASSERT_TRUE(engine_->forward(begun, first, Want::none, &memory_[0]).ok());
  for (int i = 0; i < 2; ++i) {  // it serves again
    const auto rest = search({}, &begun);
    EXPECT_EQ(begun.size(), 2);
    ASSERT_EQ(rest.size(), whole.size());
    for (size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(rest[n].tokens, whole[n].tokens);
      EXPECT_EQ(rest[n].score, whole[n].score);
    }
  }
}

TEST_F(BeamOptionsTest, ProbabilitiesAreOfWhatTheRulesLeave) {
  options_.beams = options_.best = 2;
  options_.max_tokens = 1;
  const std::vector<TokenRule> rules{only({10, 11})};
  const auto share = [&] {
    double sum = 0;
    for (const Hypothesis& h : search(rules)) sum += std::exp(h.log_probability);
    return sum;
  };
  EXPECT_LT(share(), 0.9);
  options_.rules_first = true;
  EXPECT_NEAR(share(), 1, 1e-5);
  options_.beams = options_.best = 1;
  EXPECT_GT(share(), 0.5 - 1e-5);
  const std::vector<TokenRule> none{only({})};
  const BeamInput input{&memory_[0], {3}};
  const auto found = beam_search(*engine_, {&input, 1}, options_, none);
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message.find("forbid every token"), std::string::npos);
}

TEST_F(BeamOptionsTest, TheEndMayNotCount) {
  options_.beams = options_.best = 3;
  const std::vector<TokenRule> rules{only({10, 11, kEnd})};
  for (const bool counts : {true, false}) {
    options_.end_counts = counts;
    for (const Hypothesis& h : search(rules)) {
      const bool ended = h.tokens.back() == kEnd;
      const auto length = std::max<size_t>(1, h.tokens.size() - (ended && !counts ? 1 : 0));
      EXPECT_NEAR(h.score, h.log_probability / static_cast<double>(length), 1e-12);
    }
  }
}

// Keys and values as codes, of the text and of the input: neighbours and threads change nothing.
TEST(BeamSearch, CodedKeysAndValues) {
  const auto folder = std::filesystem::path(MIAO_SOURCE_DIR) / "tests/golden/seq2seq/bart";
  BeamOptions options;
  options.beams = options.best = 3;
  options.ends = {2};
  options.max_tokens = 12;
  const std::vector<std::vector<int32_t>> sources{{5, 9, 13, 17, 21}, {8, 4, 30}};
  for (const kernels::KvType kv : {kernels::KvType::int8, kernels::KvType::int4}) {
    std::vector<std::vector<Hypothesis>> all;
    for (const int threads : {1, 2}) {
      const auto engine = std::move(*Engine::open(folder, {.threads = threads, .kv = kv}));
      const EncoderInput both[] = {{sources[0], {}, {}}, {sources[1], {}, {}}};
      const std::vector<Sequence> memory = std::move(*engine->encode(both));
      const BeamInput inputs[] = {{&memory[0], {2}}, {&memory[1], {2}}};
      for (std::vector<Hypothesis>& found : *beam_search(*engine, inputs, options, {})) all.push_back(std::move(found));
      for (const BeamInput& input : inputs)
        all.push_back(std::move((*beam_search(*engine, {&input, 1}, options, {}))[0]));
    }
    for (size_t i = 2; i < all.size(); ++i) {
      ASSERT_EQ(all[i].size(), all[i % 2].size());
      for (size_t n = 0; n < all[i].size(); ++n) {
        EXPECT_EQ(all[i][n].tokens, all[i % 2][n].tokens);
        EXPECT_EQ(all[i][n].score, all[i % 2][n].score);
      }
    }
  }
}

TEST_F(BeamOptionsTest, PatienceFindsMore) {
  options_.beams = 2;
  options_.early = BeamOptions::Early::yes;
  double last = -std::numeric_limits<double>::infinity();
  for (const double patience : {0.1, 1.0, 3.0}) {
    options_.patience = patience;
    const auto found = search();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_GE(found[0].score, last);
    last = found[0].score;
  }
}

}  // namespace
}  // namespace miao::runtime
