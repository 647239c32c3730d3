// Answers of testing.h's tiny model are noise with broken UTF-8, which is what streams and stop strings must survive.
#include "runtime/generate.h"

#include <gtest/gtest.h>

#include "io/testing.h"
#include "prep/tokenizer.h"
#include "runtime/testing.h"

namespace miao::runtime {
namespace {

class Generate : public testing::Test {
 protected:
  static constexpr int32_t kEnd = kTalkingEnd, kFirstByte = kTalkingFirstByte, kWord = kTalkingFirstWord;

  void SetUp() override {
    ASSERT_TRUE(talking_model().write(dir_ / "tiny.gguf").ok());
    auto engine = Engine::open(dir_ / "tiny.gguf", {.threads = 2, .ctx = 128, .chunk = 16});
    ASSERT_TRUE(engine.ok()) << engine.error().str();
    engine_ = std::move(*engine);
  }

  // Words are likelier than bytes, ends are banned unless a test wants them.
  static GenerateOptions options(uint64_t seed, int64_t max_tokens = 40) {
    GenerateOptions o;
    o.sampling.temperature = 1.5f;
    o.sampling.seed = seed;
    o.max_tokens = max_tokens;
    for (int32_t id : {0, 1, 2}) o.sampling.logit_bias.push_back({id, -1e9f});
    for (int32_t id = kWord; id < kWord + 7; ++id) o.sampling.logit_bias.push_back({id, 2});
    return o;
  }
  Generated run(Generator& generator, std::span<const int32_t> prompt, const GenerateOptions& o) {
    std::string streamed;
    auto out = generator.run(prompt, o, [&](std::string_view piece) { streamed += piece; });
    EXPECT_TRUE(out.ok()) << out.error().str();
    EXPECT_EQ(streamed, out->text);
    return std::move(*out);
  }
  Generated fresh(std::span<const int32_t> prompt, const GenerateOptions& o) {
    Generator generator(*engine_);
    return run(generator, prompt, o);
  }

  io::TempDir dir_;
  std::unique_ptr<Engine> engine_;
  const std::vector<int32_t> prompt_ = {1, 70, 259, 80, 261, 90, 100, 262, 110, 120};
};

TEST_F(Generate, EqualsStepByStep) {
  const GenerateOptions o = options(5);
  const Generated got = fresh(prompt_, o);
  auto sampler = Sampler::create(o.sampling, engine_->vocab());
  sampler->accept(prompt_);
  Sequence sequence = engine_->new_sequence();
  std::vector<int32_t> next = prompt_, tokens;
  for (int i = 0; i < 40; ++i) {
    const auto logits = engine_->forward(sequence, next);
    const auto id = sampler->sample(logits->row(0));
    sampler->accept(*id);
    tokens.push_back(*id);
    next = {*id};
  }
  EXPECT_EQ(got.tokens, tokens);
  EXPECT_EQ(got.seed, 5u);
  EXPECT_EQ(got.reason, StopReason::max_tokens);
  prep::StreamDecoder decoder(**engine_->tokenizer());
  std::string text;
  for (int32_t id : tokens) text += decoder.push(id);
  EXPECT_EQ(got.text, text + decoder.flush());
  EXPECT_EQ(got.stats.prompt_tokens, 10);
  EXPECT_EQ(got.stats.new_tokens, 40);
  EXPECT_GT(got.stats.prefill_tok_s(), 0);
  EXPECT_GT(got.stats.decode_tok_s(), 0);
}

TEST_F(Generate, KeptPrefixesChangeNothing) {
  Generator chat(*engine_);
  const Generated first = run(chat, prompt_, options(1));
  EXPECT_EQ(first.stats.reused_tokens, 0);
  std::vector<int32_t> longer = prompt_;
  longer.insert(longer.end(), first.tokens.begin(), first.tokens.begin() + 20);
  std::vector<int32_t> other = longer;
  longer.push_back(77);
  other[12] = 5;
  for (const auto& [prompt, kept] :
       {std::pair(longer, int64_t{30}), {other, int64_t{12}}, {other, int64_t{29}}, {prompt_, int64_t{9}}}) {
    const Generated again = run(chat, prompt, options(2)), alone = fresh(prompt, options(2));
    EXPECT_EQ(again.stats.reused_tokens, kept);
    EXPECT_EQ(again.tokens, alone.tokens);
  }
  chat.clear();
  EXPECT_EQ(chat.size(), 0);
  EXPECT_EQ(run(chat, prompt_, options(1)).tokens, first.tokens);
}

// Every piece of every answer as a stop string: the text ends in front of its first occurrence.
TEST_F(Generate, StopStringsAcrossTokens) {
  int across = 0;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const Generated whole = fresh(prompt_, options(seed));
    for (size_t at = 3; at + 6 < whole.text.size(); at += 5) {
      for (size_t length : {1, 4, 6}) {
        GenerateOptions o = options(seed);
        o.stop = {"never seen", whole.text.substr(at, length)};
        Generator generator(*engine_);
        std::string streamed;
        const auto got = generator.run(prompt_, o, [&](std::string_view piece) { streamed += piece; });
        if (!got.ok()) continue;  // the cut went through a character: not UTF-8
        const size_t found = whole.text.find(o.stop[1]);
        ASSERT_EQ(got->text, whole.text.substr(0, found));
        ASSERT_EQ(streamed, got->text);
        ASSERT_EQ(got->reason, StopReason::stop_string);
        ASSERT_EQ(got->stop, o.stop[1]);
        across += got->tokens.size() < whole.tokens.size() && length > 1;
      }
    }
  }
  EXPECT_GT(across, 20);
}

TEST_F(Generate, EndTokens) {
  GenerateOptions o = options(1);
  o.sampling.logit_bias = {{kEnd, 1e9f}};
  const Generated ended = fresh(prompt_, o);
  EXPECT_EQ(ended.reason, StopReason::end_of_text);
  EXPECT_TRUE(ended.tokens.empty());
  EXPECT_EQ(ended.text, "");
  EXPECT_EQ(ended.stats.new_tokens, 1);
  o.ignore_end = true;
  const Generated on = fresh(prompt_, o);
  EXPECT_EQ(on.reason, StopReason::max_tokens);
  EXPECT_EQ(on.tokens, std::vector<int32_t>(40, kEnd));
  EXPECT_EQ(on.text, "");
  o.show_special = true;
  EXPECT_EQ(fresh(prompt_, o).text.substr(0, 8), "</s></s>");
  o = options(1);
  o.stop_tokens = {kWord + 1};
  o.sampling.logit_bias = {{kWord + 1, 1e9f}};
  EXPECT_EQ(fresh(prompt_, o).reason, StopReason::end_of_text);
}

TEST_F(Generate, Limits) {
  EXPECT_EQ(fresh(prompt_, options(1, 0)).stats.new_tokens, 0);
  EXPECT_EQ(fresh(prompt_, options(1, 1)).stats.new_tokens, 1);
  const Generated full = fresh(prompt_, options(1, -1));
  EXPECT_EQ(full.reason, StopReason::context_full);
  EXPECT_EQ(full.stats.new_tokens, 128 - 10 + 1);  // the last one needs no room
  std::vector<int32_t> long_prompt(127, 70);
  EXPECT_EQ(fresh(long_prompt, options(1, -1)).stats.new_tokens, 2);
  long_prompt.push_back(70);
  Generator generator(*engine_);
  const auto refused = generator.run(long_prompt, options(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::invalid);
  EXPECT_NE(refused.error().message.find("128"), std::string::npos);
  EXPECT_EQ(generator.size(), 0);
}

TEST_F(Generate, BadRequests) {
  Generator generator(*engine_);
  EXPECT_FALSE(generator.run({}, options(1)).ok());
  EXPECT_FALSE(generator.run(std::vector<int32_t>{100000}, options(1)).ok());
  GenerateOptions o = options(1);
  o.stop = {""};
  EXPECT_FALSE(generator.run(prompt_, o).ok());
  o = options(1);
  o.sampling.top_p = 2;
  EXPECT_FALSE(generator.run(prompt_, o).ok());
  EXPECT_EQ(run(generator, prompt_, options(3)).tokens, fresh(prompt_, options(3)).tokens);  // nothing is broken
}

// A checkpoint without a tokenizer continues ids as the same one with a tokenizer does.
TEST_F(Generate, IdsNeedNoTokenizer) {
  ASSERT_TRUE(models::TinyModel{.vocab = engine_->vocab()}.gguf().write(dir_ / "mute.gguf").ok());
  auto mute = Engine::open(dir_ / "mute.gguf", {.threads = 2, .ctx = 128, .chunk = 16});
  ASSERT_TRUE(mute.ok()) << mute.error().str();
  ASSERT_FALSE((*mute)->tokenizer().ok());
  Generator generator(**mute);
  GenerateOptions o = options(5);
  const Generated got = run(generator, prompt_, o);
  EXPECT_EQ(got.tokens, fresh(prompt_, o).tokens);
  EXPECT_EQ(got.text, "");
  EXPECT_EQ(got.reason, StopReason::max_tokens);
  o.stop_tokens = {got.tokens[3]};
  const Generated ended = run(generator, prompt_, o);
  EXPECT_EQ(ended.reason, StopReason::end_of_text);
  EXPECT_LE(ended.tokens.size(), 3u);
  o.stop = {"word"};
  const auto refused = generator.run(prompt_, o);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().str(), (*mute)->tokenizer().error().str());
}

TEST_F(Generate, Cancel) {
  std::atomic<bool> stop{true};
  GenerateOptions o = options(1);
  o.cancel = &stop;
  Generator generator(*engine_);
  const Generated none = run(generator, prompt_, o);
  EXPECT_EQ(none.reason, StopReason::cancelled);
  EXPECT_EQ(none.stats.new_tokens, 0);
  stop = false;
  const auto some = generator.run(prompt_, o, [&](std::string_view) { stop = true; });
  ASSERT_TRUE(some.ok());
  EXPECT_EQ(some->reason, StopReason::cancelled);
  EXPECT_GE(some->tokens.size(), 1u);
  EXPECT_LT(some->tokens.size(), 40u);
  EXPECT_FALSE(some->text.empty());
  EXPECT_EQ(run(generator, prompt_, options(1)).tokens, fresh(prompt_, options(1)).tokens);
}

}  // namespace
}  // namespace miao::runtime
