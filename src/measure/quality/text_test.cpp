// A text through tiny decoders: figures against sums over all logits in double, windows as they are meant, bad input.
#include <gtest/gtest.h>

#include <cmath>

#include "measure/quality.h"
#include "models/testing.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"
#include "runtime/testing.h"

namespace miao::measure {
namespace {

using runtime::Engine;

std::unique_ptr<Engine> open(const std::filesystem::path& path, runtime::Compute compute = runtime::Compute::f32,
                             runtime::EngineOptions options = {}) {
  options.threads = options.threads ? options.threads : 2;
  options.compute = compute;
  auto engine = Engine::open(path, options);
  EXPECT_TRUE(engine.ok()) << engine.error().str();
  return engine.ok() ? std::move(*engine) : nullptr;
}

std::string prose(int sentences) {
  std::string out;
  for (int i = 0; i < sentences; ++i) out += "the cat number " + std::to_string(i * i) + " sat.\n";
  return out;
}

class TextQuality : public testing::Test {
 protected:
  TextQuality() { EXPECT_TRUE(runtime::talking_model().write(folder_ / "m.gguf").ok()); }
  // The same model with noise on its output matrix.
  std::filesystem::path damaged() {
    io::GgufBuilder file = runtime::talking_model();
    for (auto& tensor : file.tensors) {
      if (tensor.name != "output.weight") continue;
      for (size_t at = 0; at + 4 <= tensor.data.size(); at += 4) {
        float value = 0;
        std::memcpy(&value, tensor.data.data() + at, 4);
        value += 0.2f * std::sin(static_cast<float>(at));
        std::memcpy(tensor.data.data() + at, &value, 4);
      }
    }
    EXPECT_TRUE(file.write(folder_ / "d.gguf").ok());
    return folder_ / "d.gguf";
  }
  std::string why(Engine& model, Engine* base, std::string_view text, TextCase what = {.ctx = 32}) {
    const auto records = measure_text(model, base, text, what, {});
    return records.ok() ? "" : records.error().str();
  }

  io::TempDir folder_;
};

std::vector<double> log_probs(std::span<const float> logits) {
  double most = -INFINITY, sum = 0;
  for (const float x : logits) most = std::max(most, double{x});
  for (const float x : logits) sum += std::exp(double{x} - most);
  std::vector<double> out;
  for (const float x : logits) out.push_back(double{x} - most - std::log(sum));
  return out;
}

TEST_F(TextQuality, FiguresAreThoseOfAllLogits) {
  const auto model = open(damaged()), base = open(folder_ / "m.gguf");
  ASSERT_TRUE(model && base);
  const std::string text = prose(30);
  const auto records = measure_text(*model, base.get(), text, {.ctx = 32}, {});
  ASSERT_TRUE(records.ok()) << records.error().str();
  auto ids = *(*model->tokenizer())->encode(text);  // a begin token, then the text
  ASSERT_EQ(ids[0], 1);
  EXPECT_EQ(records->tokens, static_cast<int64_t>(ids.size()));
  ASSERT_EQ(records->chunks, static_cast<int64_t>(ids.size()) / 32);
  EXPECT_EQ(records->scored, 15);
  EXPECT_TRUE(records->begins);
  for (size_t chunk : {size_t{0}, size_t{3}, static_cast<size_t>(records->chunks) - 1}) {
    std::vector<int32_t> window(ids.begin() + static_cast<ptrdiff_t>(32 * chunk),
                                ids.begin() + static_cast<ptrdiff_t>(32 * chunk + 32));
    window[0] = 1;
    auto a = model->new_sequence(), b = base->new_sequence();
    const auto own = model->forward(a, window, runtime::Want::all),
               other = base->forward(b, window, runtime::Want::all);
    ASSERT_TRUE(own.ok() && other.ok());
    for (size_t i = 0; i < 15; ++i) {
      const auto q = log_probs(own->row(static_cast<int64_t>(16 + i))),
                 p = log_probs(other->row(static_cast<int64_t>(16 + i)));
      const auto token = static_cast<size_t>(window[16 + i + 1]);
      double kl = 0, tv = 0;
      for (size_t v = 0; v < p.size(); ++v) {
        kl += std::exp(p[v]) * (p[v] - q[v]);
        tv += std::fabs(std::exp(p[v]) - std::exp(q[v])) / 2;
      }
      const size_t at = chunk * 15 + i;
      EXPECT_NEAR(records->nll[at], -q[token], 2e-6);
      EXPECT_NEAR(records->base_nll[at], -p[token], 2e-6);
      EXPECT_NEAR(records->kl[at], kl, 1e-6 + 1e-5 * kl);
      EXPECT_NEAR(records->tv[at], tv, 1e-6);
      EXPECT_GT(kl, 1e-4);
      const auto top = [](const std::vector<double>& x) { return std::max_element(x.begin(), x.end()) - x.begin(); };
      EXPECT_EQ(records->same_top[at] != 0, top(q) == top(p));
      EXPECT_EQ(records->right[at] != 0, top(q) == static_cast<ptrdiff_t>(token));
    }
  }
}

TEST_F(TextQuality, ThreadsAndWindowsTogetherChangeNothing) {
  const auto model = open(damaged()), base = open(folder_ / "m.gguf");
  const auto one = open(folder_ / "d.gguf", runtime::Compute::f32, {.threads = 1}),
             other = open(folder_ / "m.gguf", runtime::Compute::f32, {.threads = 1, .chunk = 7});
  ASSERT_TRUE(model && base && one && other);
  const std::string text = prose(60);
  const auto a = measure_text(*model, base.get(), text, {.ctx = 24}, {});
  const auto b = measure_text(*one, other.get(), text, {.ctx = 24, .chunks = 5}, {});
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(b->chunks, 5);
  const auto n = static_cast<ptrdiff_t>(b->nll.size());
  EXPECT_EQ(std::vector<float>(a->kl.begin(), a->kl.begin() + n), b->kl);
  EXPECT_EQ(std::vector<float>(a->nll.begin(), a->nll.begin() + n), b->nll);
}

TEST_F(TextQuality, AModelAgainstItselfLosesNothing) {
  const auto model = open(folder_ / "m.gguf"), base = open(folder_ / "m.gguf");
  ASSERT_TRUE(model && base);
  int64_t seen = 0, total = 0;
  const auto records = measure_text(*model, base.get(), prose(60), {.ctx = 32},
                                    {.progress = [&](int64_t done, int64_t all) { seen = done, total = all; }});
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(seen, records->chunks);
  EXPECT_EQ(total, records->chunks);
  for (const float kl : records->kl) EXPECT_EQ(kl, 0);
  Quality q = summarise(*records, 0.95);
  EXPECT_EQ(q.find("kld_mean")->value, 0);
  EXPECT_EQ(q.find("kld_p99")->value, 0);
  EXPECT_EQ(q.find("same_top1")->value, 1);
  EXPECT_EQ(q.find("ln_ppl_ratio")->value, 0);
  EXPECT_EQ(q.find("ppl")->value, q.find("base_ppl")->value);
  ASSERT_TRUE(judge(q, std::vector<Budget>{{"ppl", 1e-6, false}, {"kld", 1e-6, false}}).ok());
  EXPECT_EQ(q.outcome(), Outcome::passes);
}

TEST_F(TextQuality, LossesHaveVerdicts) {
  const auto model = open(damaged()), base = open(folder_ / "m.gguf");
  ASSERT_TRUE(model && base);
  const auto records = measure_text(*model, base.get(), prose(60), {.ctx = 32}, {});
  ASSERT_TRUE(records.ok());
  Quality q = summarise(*records, 0.95);
  const Metric& kld = *q.find("kld_mean");
  ASSERT_TRUE(kld.ci);
  EXPECT_LT(kld.ci->low, kld.value);
  EXPECT_GT(kld.ci->high, kld.value);
  EXPECT_LE(q.find("kld_median")->value, q.find("kld_p99")->value);
  EXPECT_LE(q.find("kld_p99")->value, q.find("kld_p999")->value);
  EXPECT_LE(q.find("kld_p999")->value, q.find("kld_max")->value);
  ASSERT_TRUE(judge(q, std::vector<Budget>{{"kld", kld.value * 2, false}}).ok());
  EXPECT_EQ(q.outcome(), Outcome::passes);
  ASSERT_TRUE(judge(q, std::vector<Budget>{{"kld", kld.value * 1.0001, false}}).ok());
  EXPECT_EQ(q.outcome(), Outcome::not_shown);
  EXPECT_GT(q.verdicts.back().more, 100);
  ASSERT_TRUE(judge(q, std::vector<Budget>{{"kld", kld.value / 2, false}}).ok());
  EXPECT_EQ(q.outcome(), Outcome::fails);
  const auto wrong = judge(q, std::vector<Budget>{{"wer", 0.1, true}});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().str(),
            "budget wer:10%: this measurement has no such loss, but ppl, kld, top1, flips (invalid)");
}

TEST_F(TextQuality, FewChunksShowNothing) {
  const auto model = open(damaged()), base = open(folder_ / "m.gguf");
  ASSERT_TRUE(model && base);
  for (const int64_t chunks : {1, 3}) {
    const auto records = measure_text(*model, base.get(), prose(60), {.ctx = 32, .chunks = chunks}, {});
    ASSERT_TRUE(records.ok());
    Quality q = summarise(*records, 0.95);
    EXPECT_FALSE(q.find("kld_mean")->ci);
    EXPECT_FALSE(q.find("ppl")->ci);
    ASSERT_TRUE(judge(q, std::vector<Budget>{{"kld", 10, false}}).ok());
    EXPECT_EQ(q.outcome(), Outcome::not_shown);
    EXPECT_EQ(q.verdicts[0].more, 8 - chunks);
  }
  const auto alone = measure_text(*model, nullptr, prose(60), {.ctx = 32}, {});
  ASSERT_TRUE(alone.ok());
  Quality q = summarise(*alone, 0.9);
  EXPECT_TRUE(q.losses.empty());
  EXPECT_TRUE(q.find("ppl")->ci);
  EXPECT_FALSE(judge(q, std::vector<Budget>{{"ppl", 0.1, true}}).ok());
}

TEST_F(TextQuality, WhatCannotBeMeasuredIsToldOnce) {
  const auto model = open(folder_ / "m.gguf");
  ASSERT_TRUE(model);
  EXPECT_EQ(why(*model, nullptr, ""), "text: is empty (invalid)");
  EXPECT_NE(why(*model, nullptr, std::string_view("a\0b", 3)).find("is binary"), std::string::npos);
  EXPECT_NE(why(*model, nullptr, "the cat").find("tokens, and one window takes 32"), std::string::npos);
  EXPECT_NE(why(*model, nullptr, prose(9), {.ctx = 4}).find("at least 8 tokens"), std::string::npos);
  EXPECT_NE(why(*model, nullptr, prose(90), {.ctx = 513}).find("its context holds 512 tokens, windows have 513"),
            std::string::npos);
  const std::atomic<bool> stop{true};
  const auto stopped = measure_text(*model, nullptr, prose(90), {.ctx = 32}, {.stop = &stop});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::cancelled);
}

TEST_F(TextQuality, TokenizersHaveToAgree) {
  io::GgufBuilder bare = runtime::talking_model();
  bare.key("tokenizer.ggml.add_bos_token", false);
  io::GgufBuilder padded = models::TinyModel{.vocab = 280}.gguf();
  for (const auto& key : runtime::talking_model().keys) {
    if (key.name.starts_with("tokenizer.")) padded.keys.push_back(key);
  }
  ASSERT_TRUE(bare.write(folder_ / "bare.gguf").ok() && padded.write(folder_ / "padded.gguf").ok() &&
              models::TinyModel{}.gguf().write(folder_ / "mute.gguf").ok());
  const auto model = open(folder_ / "m.gguf"), other = open(folder_ / "bare.gguf"),
             wide = open(folder_ / "padded.gguf"), mute = open(folder_ / "mute.gguf");
  ASSERT_TRUE(model && other && wide && mute);
  EXPECT_NE(why(*model, other.get(), prose(30)).find("bare.gguf: its tokenizer makes other ids of the text"),
            std::string::npos);
  EXPECT_NE(why(*model, wide.get(), prose(30)).find("has logits of 280 tokens, the model of 266"), std::string::npos);
  EXPECT_NE(why(*mute, nullptr, prose(30)).find("tokenizer"), std::string::npos);
}

}  // namespace
}  // namespace miao::measure
