// A real model: SmolLM2-135M in Q4_1, found in the directory that MIAO_TEST_MODELS names; skipped without it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/cpu.h"
#include "base/env.h"
#include "base/file.h"
#include "kernels/kernels.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"

namespace miao::runtime {
namespace {

class SlowRealModel : public testing::Test {
 protected:
  void SetUp() override {
    const auto models = env("MIAO_TEST_MODELS");
    if (!models) GTEST_SKIP() << "MIAO_TEST_MODELS is not set";
    path_ = std::filesystem::path(*models) / "smollm2-q4_1.gguf";
    if (!std::filesystem::exists(path_)) GTEST_SKIP() << path_ << " does not exist";
  }
  std::unique_ptr<Engine> open(const EngineOptions& options) {
    auto engine = Engine::open(path_, options);
    EXPECT_TRUE(engine.ok()) << engine.error().str();
    return std::move(*engine);
  }
  std::vector<int32_t> ids(const Engine& engine, size_t count) {
    auto text = read_file(std::filesystem::path(MIAO_SOURCE_DIR) / "src/graph/ops/linear.cpp");
    EXPECT_TRUE(text.ok());
    auto tokenizer = engine.tokenizer();
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().str();
    std::vector<int32_t> out = *(*tokenizer)->encode(*text);
    EXPECT_GE(out.size(), count);
    out.resize(count);
    return out;
  }
  std::vector<std::vector<float>> rows(Engine& engine, std::span<const int32_t> tokens) {
    Sequence sequence = engine.new_sequence();
    std::vector<std::vector<float>> out;
    EXPECT_TRUE(engine
                    .forward_all(sequence, tokens,
                                 [&](int64_t, const Logits& logits) -> Result<void> {
                                   for (int64_t i = 0; i < logits.rows(); ++i) {
                                     out.emplace_back(logits.row(i).begin(), logits.row(i).end());
                                   }
                                   return {};
                                 })
                    .ok());
    return out;
  }

  std::filesystem::path path_;
};

std::vector<double> log_softmax(const std::vector<float>& x) {
  const double top = static_cast<double>(*std::max_element(x.begin(), x.end()));
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v) - top);
  std::vector<double> out;
  for (const float v : x) out.push_back(static_cast<double>(v) - top - std::log(sum));
  return out;
}

TEST_F(SlowRealModel, Says) {
  const auto engine = open({});
  auto tokenizer = engine->tokenizer();
  ASSERT_TRUE(tokenizer.ok());
  Sequence sequence = engine->new_sequence();
  auto logits = engine->forward(sequence, *(*tokenizer)->encode("The capital of France is"));
  ASSERT_TRUE(logits.ok());
  const auto row = logits->row(0);
  const auto best = static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
  EXPECT_EQ((*tokenizer)->decode({&best, 1}), " Paris");
}

// What int8 activations and F16 keys and values cost against the same weights in FP32.
TEST_F(SlowRealModel, QuantisedIsCloseToFp32) {
  const auto exact_engine = open({.compute = Compute::f32});
  const auto tokens = ids(*exact_engine, 200);
  const auto exact = rows(*exact_engine, tokens);
  const auto fast = rows(*open({}), tokens);
  double kl = 0;
  int same_top = 0;
  for (size_t t = 0; t < exact.size(); ++t) {
    const auto p = log_softmax(exact[t]);
    const auto q = log_softmax(fast[t]);
    for (size_t i = 0; i < p.size(); ++i) kl += std::exp(p[i]) * (p[i] - q[i]);
    same_top += std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
  }
  const auto n = static_cast<double>(exact.size());
  EXPECT_LT(kl / n, 0.01);
  EXPECT_GT(same_top / n, 0.93);
}

TEST_F(SlowRealModel, SameBitsWhateverTheRun) {
  const auto engine = open({.threads = 2});
  const auto tokens = ids(*engine, 150);
  const auto want = rows(*engine, tokens);
  const kernels::Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  const int count = kernels::available(cpu_features(), tables);
  for (int i = 1; i < count; ++i) {
    const auto got = rows(*open({.threads = i % 2 + 1, .chunk = 30 + i, .isa = tables[i]->name}), tokens);
    ASSERT_EQ(got.size(), want.size());
    for (size_t t = 0; t < got.size(); ++t) {
      ASSERT_EQ(std::memcmp(got[t].data(), want[t].data(), got[t].size() * sizeof(float)), 0)
          << tables[i]->name << " row " << t;
    }
  }
}

}  // namespace
}  // namespace miao::runtime
