// The search on a tiny model: its parts against what they promise, and the whole of it.
#include "compress/compress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/file.h"
#include "compress/calibration_text.h"
#include "compress/measurements.h"
#include "compress/quantize.h"
#include "compress/search/split.h"
#include "compress/search/streams.h"
#include "io/testing.h"
#include "runtime/testing.h"

namespace miao::compress {
namespace {

namespace fs = std::filesystem;

constexpr DType kTypes[] = {DType::q4_0, DType::q5_0, DType::q8_0};

double mean(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }

class CompressTest : public testing::Test {
 protected:
  CompressTest() {
    EXPECT_TRUE(runtime::talking_model().write(path()).ok());
    engine_ = std::move(*runtime::Engine::open(path(), {.threads = 2}));
    windows_ = *own_text(*engine_, {.size = {4, 64}, .progress = {}});
    importance_ = *measure_importance(*engine_, windows_, {}, nullptr);
  }
  fs::path path() const { return dir_ / "model.gguf"; }
  std::vector<float> logits(runtime::Engine& engine) const {
    runtime::Sequence sequence = engine.new_sequence();
    const auto rows = engine.forward(sequence, windows_[0], runtime::Want::all);
    std::vector<float> out;
    for (int64_t i = 0; i < rows->rows(); ++i) out.insert(out.end(), rows->row(i).begin(), rows->row(i).end());
    return out;
  }
  static std::string text(int lines) {
    std::string out;
    for (int i = 0; i < lines; ++i)
      out += "the cat number " + std::to_string(i * i) + " sat on mat " + std::to_string(i) + "\n";
    return out;
  }
  CompressOptions options() const {
    CompressOptions o{.request = {.prompt = 32, .gen = 8},
                      .text = text(2500),
                      .text_name = "text",
                      .types = {std::begin(kTypes), std::end(kTypes)},
                      .threads = 2,
                      .writer = "test"};
    return o;
  }

  io::TempDir dir_;
  std::unique_ptr<runtime::Engine> engine_;
  std::vector<std::vector<int32_t>> windows_;
  Importance importance_;
};

TEST_F(CompressTest, LossesFallWithBitsAndTheModelIsAsItWas) {
  const std::vector<float> before = logits(*engine_);
  const auto matrices = measure_sensitivity(*engine_, windows_, importance_, kTypes, {});
  ASSERT_TRUE(matrices.ok()) << matrices.error().str();
  EXPECT_EQ(matrices->size(), 2u * 7 + 2);  // with the embedding and the output matrix
  for (const MatrixLoss& m : *matrices) {
    SCOPED_TRACE(m.tensor);
    ASSERT_EQ(m.types.size(), 4u);
    EXPECT_EQ(m.types[0].type, DType::f32);
    EXPECT_EQ(m.types[0].loss, 0);
    EXPECT_EQ(m.probe, DType::q4_0);
    EXPECT_GT(m.probe_loss, 0);
    EXPECT_NEAR(m.types[1].loss, m.probe_loss, 1e-9);
    EXPECT_GT(m.types[1].loss, m.types[2].loss);
    EXPECT_GT(m.types[2].loss, m.types[3].loss);
    EXPECT_GT(m.types[1].error, 2 * m.types[2].error);
    EXPECT_LT(m.types[1].bytes, m.types[2].bytes);
  }
  EXPECT_EQ(logits(*engine_), before);
}

TEST_F(CompressTest, TheLossOfAnAllocationIsThatOfItsFile) {
  const auto subjects = *subjects_of(engine_->checkpoint());
  TypesByName mixed;
  for (size_t i = 0; i < subjects.size(); ++i) {
    if (!subjects[i].keep && subjects[i].shape.size() > 1) mixed[subjects[i].name] = kTypes[i % 3];
  }
  const TypesByName two[] = {{{"blk.1.ffn_down.weight", DType::q4_0}}, mixed};
  const auto losses = measure_losses(*engine_, windows_, importance_, two, {});
  ASSERT_TRUE(losses.ok()) << losses.error().str();
  ASSERT_EQ(losses->size(), 2u);
  EXPECT_LT(mean((*losses)[0]), mean((*losses)[1]));

  QuantizeOptions o{.recipe = *Recipe::named("Q4_0"), .importance = &importance_, .calibration = {}, .threads = 2};
  o.choice.pure = true;
  for (const auto& [name, type] : mixed) o.choice.overrides.push_back({name, type, true});
  ASSERT_TRUE(quantize(engine_->checkpoint(), dir_ / "mixed.gguf", o).ok());
  const auto other = std::move(*runtime::Engine::open(dir_ / "mixed.gguf", {.threads = 1, .kv = engine_->kv_type()}));
  Streams own(*engine_, windows_, nullptr), theirs(*other, windows_, nullptr);
  const Base base = std::move(*Base::of(*engine_, own, windows_));
  EXPECT_EQ(*base.divergence(*other, theirs), (*losses)[1]);
}

TEST_F(CompressTest, TimesOfAllKindsAndTypes) {
  const Request request{.prompt = 16, .gen = 4};
  const auto table =
      measure_times(*engine_, clock_of(*engine_, request, nullptr), kTypes, {.rounds = 2, .progress = {}});
  ASSERT_TRUE(table.ok()) << table.error().str();
  EXPECT_EQ(table->kinds().size(), 5u);
  EXPECT_GT(table->rest().step, 0);
  Times sum;
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight", "blk.1.attn_q.weight",
                           "blk.1.attn_k.weight", "blk.1.attn_v.weight"}) {
    ASSERT_TRUE(table->knows(name, DType::q4_0));
    ASSERT_TRUE(table->knows(name, DType::f32));
    sum.step += table->of(name, DType::q4_0).step;
  }
  const auto qkv = std::ranges::find(table->kinds(), "qkv", &TimeTable::Kind::name);
  EXPECT_NEAR(sum.step, qkv->types.at(DType::q4_0).step, 1e-12);
  EXPECT_FALSE(table->knows("blk.0.attn_q.weight", DType::q6_k));
  EXPECT_EQ(table->of("token_embd.weight", DType::q4_0).step, 0) << "no product reads it";
}

TEST_F(CompressTest, FindsAModelWithinItsBudgetsAndDoesNotMeasureTwice) {
  auto store = Measurements::open(dir_ / "store.sqlite");
  ASSERT_TRUE(store.ok());
  CompressOptions o = options();
  o.store = &*store;
  o.tries = 1;
  o.budgets.losses = {*measure::parse_budget("kld:0.5")};
  o.budgets.size_share = 0.5;
  fs::create_directories(dir_ / "out" / "work");
  ASSERT_TRUE(write_file_atomic(dir_ / "out" / "work" / "mine.txt", "mine").ok());
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_TRUE(found->kept) << (found->misses.empty() ? "" : found->misses[0]);
  EXPECT_TRUE(fs::exists(dir_ / "out" / "model.gguf"));
  EXPECT_TRUE(fs::exists(dir_ / "out" / "work" / "mine.txt")) << "a folder of the user's";
  EXPECT_FALSE(fs::exists(dir_ / "out" / ".miao-compress"));
  EXPECT_LT(static_cast<double>(fs::file_size(dir_ / "out" / "model.gguf")),
            0.5 * static_cast<double>(found->base_bytes));
  ASSERT_TRUE(found->final_quality);
  EXPECT_EQ(found->final_quality->verdicts.at(0).outcome, measure::Outcome::passes);
  EXPECT_EQ(found->additivity.predicted.size(), 12u);
  EXPECT_EQ(found->sets.size(), 4u);
  for (const double gain : {found->mix_gain.first, found->mix_gain.step}) {
    EXPECT_GE(gain, 0.7);
    EXPECT_LE(gain, 1.3);
  }
  // What is there has the types that the report names.
  const auto written = *io::Checkpoint::open(dir_ / "out" / "model.gguf");
  const Candidate& chosen = found->candidates[static_cast<size_t>(found->chosen)];
  for (const auto& [name, type] : chosen.types) EXPECT_EQ(written.find(name)->dtype, type) << name;

  // Again: nothing is measured but speeds, and the same types give the same bytes.
  const int64_t entries = store->size();
  const auto bytes = *read_file(dir_ / "out" / "model.gguf");
  const auto again = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(store->size(), entries);
  if (again->candidates[0].types == chosen.types) EXPECT_EQ(*read_file(dir_ / "out" / "model.gguf"), bytes);
}

// What passed on the verification text is tested in the order of its predicted loss, up to the first that misses.
TEST_F(CompressTest, TheFinalTextIsForTestsInAFixedOrder) {
  CompressOptions o = options();
  o.tries = 4;
  o.budgets.losses = {*measure::parse_budget("kld:0.2")};
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  std::vector<const Candidate*> tested;
  for (const Candidate& c : found->candidates) {
    if (c.final_quality) tested.push_back(&c);
    if (c.final_quality && !c.misses.empty()) EXPECT_EQ(&c, &found->candidates[static_cast<size_t>(found->chosen)]);
  }
  ASSERT_FALSE(tested.empty());
  std::ranges::sort(tested, {}, [](const Candidate* c) { return c->predicted[kLoss]; });
  const Candidate* last = tested[0];  // that passed, or the first
  for (size_t i = 0; i < tested.size(); ++i) {
    const bool passes = tested[i]->final_quality->outcome() == measure::Outcome::passes;
    if (i + 1 < tested.size()) EXPECT_TRUE(passes) << "nothing is tested behind one that misses";
    if (passes) last = tested[i];
  }
  const Candidate& chosen = found->candidates[static_cast<size_t>(found->chosen)];
  EXPECT_EQ(last, &chosen);
  EXPECT_EQ(found->kept, chosen.misses.empty() && found->final_quality->outcome() == measure::Outcome::passes);
  for (const Candidate& c : found->candidates) {
    if (!c.misses.empty() || c.predicted[kLoss] > chosen.predicted[kLoss]) continue;
    EXPECT_GE(c.speeds->own.request(o.request), chosen.speeds->own.request(o.request)) << "the safer one is not faster";
  }
}

TEST_F(CompressTest, LatencyOverLengthsOfInputs) {
  CompressOptions o = options();
  o.tries = 1;
  o.budgets.losses = {*measure::parse_budget("kld:0.5")};
  o.lengths = *measure::LengthDistribution::of({3, 20, 20, 31}, 100, "file:mine");
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  ASSERT_EQ(found->latency.size(), 2u);
  for (const measure::LatencyReport& l : found->latency) {
    EXPECT_EQ(l.lengths, "file:mine");
    EXPECT_EQ(l.mean_length, 18.5);
    EXPECT_GT(l.predicted.value, 0);
    EXPECT_EQ(l.points.back().length, 31);
  }
}

TEST_F(CompressTest, KeysAndValuesAreChosenTooAndTheFileSaysSo) {
  using kernels::KvType;
  CompressOptions o = options();
  o.tries = 1;
  o.kv = {KvType::f16, KvType::int4};
  o.budgets.losses = {*measure::parse_budget("kld:1")};
  o.budgets.memory = 1e9;
  const auto usual = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(usual.ok()) << usual.error().str();
  ASSERT_EQ(usual->kv.size(), 2u);
  EXPECT_EQ(usual->kv[0].type, KvType::f16);  // the model's own are F32, as its weights
  EXPECT_LT(usual->kv[0].loss, usual->kv[1].loss);
  EXPECT_LT(usual->kv[1].bytes, usual->kv[0].bytes);
  EXPECT_LT(usual->kv[0].bytes, 0);
  o.kv = {KvType::int4};
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_EQ(found->candidates[0].kv, KvType::int4);
  const auto written = *runtime::Engine::open(found->file, {.threads = 2});
  EXPECT_EQ(written->kv_type(), KvType::int4);
  EXPECT_EQ(found->candidates[0].memory, [&] {
    const auto m = written->memory(o.request.batch, o.request.ctx());
    return m.weights + m.embedding + m.buffers + m.kv_reserved;
  }());
}

TEST_F(CompressTest, WhatCannotBeReachedIsSaidAndTheNearestIsThere) {
  CompressOptions o = options();
  o.tries = 2;
  o.budgets.losses = {*measure::parse_budget("kld:0.000001")};
  o.budgets.size_share = 0.2;
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_FALSE(found->kept);
  EXPECT_FALSE(found->misses.empty());
  EXPECT_TRUE(fs::exists(dir_ / "out" / "nearest.gguf"));
  EXPECT_FALSE(fs::exists(dir_ / "out" / "model.gguf"));
}

using SlowCompressTest = CompressTest;
TEST_F(SlowCompressTest, OnItsOwnTextWithinTimesAndMemory) {
  CompressOptions o = options();
  o.text.clear();
  o.text_name = "the model's own text";
  o.tries = 1;
  o.budgets.first = o.budgets.step = o.budgets.request = 60;
  o.budgets.memory = 1e9;
  o.budgets.size_share = 0.5;
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_TRUE(found->kept) << (found->misses.empty() ? "" : found->misses[0]);
  EXPECT_GT(found->candidates[0].predicted[kStep], 0);
  EXPECT_GT(found->candidates[0].memory, 0);
  EXPECT_LT(found->candidates[0].memory, found->base_memory);
  EXPECT_FALSE(fs::exists(dir_ / "out" / "calibration.txt"));
  o.budgets = {};
  o.budgets.step = 1e-9;
  const auto none = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(none.ok()) << none.error().str();
  ASSERT_EQ(none->misses.size(), 1u);
  EXPECT_NE(none->misses[0].find("a token is"), std::string::npos) << none->misses[0];
}

TEST_F(CompressTest, NothingMayBeLost) {
  CompressOptions o = options();
  o.tries = 2;
  o.budgets.losses = {{.metric = "kld", .margin = 0}};
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_FALSE(found->kept) << "a bound is never below zero";
}

TEST_F(CompressTest, AFigureOfOnesOwnIsComputedOnceForAFile) {
  CompressOptions o = options();
  o.tries = 2;
  o.evaluate_name = "points";
  std::vector<fs::path> asked;
  o.evaluate = [&](const fs::path& file) -> Result<double> {
    EXPECT_TRUE(fs::exists(file));
    asked.push_back(file);
    return file == path() ? 100 : 99.5;
  };
  o.budgets.losses = {*measure::parse_budget("evaluate:1%"), *measure::parse_budget("evaluate:0.6")};
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_TRUE(found->kept) << (found->misses.empty() ? "" : found->misses[0]);
  EXPECT_EQ(asked.size(), 1 + found->candidates.size());
  EXPECT_EQ(asked[0], path());
  EXPECT_DOUBLE_EQ(found->final_quality->verdicts[0].loss.value, 0.005);
  EXPECT_DOUBLE_EQ(found->final_quality->verdicts[1].loss.value, 0.5);
  o.budgets.losses = {*measure::parse_budget("evaluate:0.4")};
  const auto missed = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(missed.ok()) << missed.error().str();
  EXPECT_FALSE(missed->kept);
  EXPECT_NE(missed->misses.at(0).find("evaluate:0.4 is 0.5, as it was printed; no bound"), std::string::npos);
}

TEST_F(CompressTest, AFigureThatFailsEndsTheSearch) {
  CompressOptions o = options();
  o.budgets.losses = {*measure::parse_budget("evaluate:1%")};
  EXPECT_EQ(compress(path(), dir_ / "out", o).error().code, Code::invalid) << "there is none";
  o.evaluate = [&](const fs::path& file) -> Result<double> {
    if (file == path()) return 1;
    return Error{Code::io, "it broke", "mine"};
  };
  const auto broken = compress(path(), dir_ / "out", o);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code, Code::io);
  EXPECT_NE(broken.error().str().find("mine: it broke; what was built stays in"), std::string::npos);
  o.evaluate = [](const fs::path&) -> Result<double> { return NAN; };
  EXPECT_EQ(compress(path(), dir_ / "out", o).error().code, Code::invalid);
  o.evaluate = [](const fs::path&) -> Result<double> { return 0; };
  EXPECT_EQ(compress(path(), dir_ / "out", o).error().code, Code::invalid) << "no share of 0";
}

TEST_F(CompressTest, AccuracyIsOfQuestionsThatNothingWasChosenOn) {
  CompressOptions o = options();
  o.tries = 1;
  o.budgets.losses = {*measure::parse_budget("accuracy:90%"), *measure::parse_budget("ppl:90%")};
  EXPECT_EQ(compress(path(), dir_ / "out", o).error().code, Code::invalid) << "there are no questions";
  for (int i = 0; i < 50; ++i)
    o.questions.push_back({"the cat number " + std::to_string(i) + " sat on", {"the mat", "a hat"}, i % 2});
  const auto found = compress(path(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_EQ(found->verify_questions, 20);
  EXPECT_EQ(found->final_questions, 30);
  const measure::Verdict& own = found->candidates[0].quality->verdicts.at(0);
  const measure::Verdict& last = found->final_quality->verdicts.at(0);
  EXPECT_EQ(own.loss.units, 20);
  EXPECT_EQ(last.loss.units, 30);
  EXPECT_EQ(last.loss.unit, "question");
  ASSERT_TRUE(last.loss.upper);
  EXPECT_EQ(last.outcome, measure::Outcome::passes);
  ASSERT_TRUE(found->final_quality->find("base_accuracy"));
}

TEST_F(CompressTest, BadInputEndsClearly) {
  CompressOptions o = options();
  o.budgets.size_share = 0.5;
  o.text = text(40);
  auto found = compress(path(), dir_ / "out", o);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, Code::invalid);
  EXPECT_NE(found.error().str().find("text: "), std::string::npos) << found.error().str();
  o = options();
  std::atomic<bool> stop{true};
  o.cancel = &stop;
  found = compress(path(), dir_ / "out", o);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, Code::cancelled);
  EXPECT_FALSE(fs::exists(dir_ / "out" / "model.gguf"));
  EXPECT_FALSE(compress(dir_ / "none.gguf", dir_ / "out", options()).ok());
}

TEST(SplitText, SetsShareNothingAndLoseNothing) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "sentence " + std::to_string(i) + (i % 7 ? ". " : "\n");
  const std::array<double, kSets> shares = {0.25, 0.05, 0.25, 0.45};
  const auto sets = split_text(text, shares);
  std::set<std::string> seen;
  size_t words = 0;
  for (size_t s = 0; s < kSets; ++s) {
    EXPECT_NEAR(static_cast<double>(sets[s].size()) / static_cast<double>(text.size()), shares[s], 0.03) << s;
    for (size_t at = 0; (at = sets[s].find("sentence ", at)) != std::string::npos; ++at, ++words) {
      const std::string number = sets[s].substr(at + 9, sets[s].find_first_of(".\n", at) - at - 9);
      EXPECT_TRUE(seen.insert(number).second) << number;
    }
  }
  EXPECT_EQ(words, 3000u);
  for (const std::string& set : split_text("\xe4\xb8\xad\xe6\x96\x87", shares)) EXPECT_TRUE(check_text(set, "").ok());
}

TEST(Budgets, AsPeopleWriteThem) {
  EXPECT_EQ(*parse_speed("2x"), 2);
  EXPECT_EQ(*parse_speed("1.5"), 1.5);
  EXPECT_EQ(*parse_seconds("200ms"), 0.2);
  EXPECT_EQ(*parse_seconds("15min"), 900);
  EXPECT_EQ(*parse_bytes("60MB"), 60e6);
  EXPECT_EQ(*parse_bytes("1 KiB"), 1024);
  Budgets b;
  EXPECT_TRUE(parse_size("40%", b).ok());
  EXPECT_DOUBLE_EQ(*b.size_share, 0.4);
  EXPECT_TRUE(parse_size("2GB", b).ok());
  EXPECT_EQ(*b.size, 2e9);
  for (const char* wrong : {"", "x", "0x", "-1x", "2y", "nan", "inf", "1e999x"})
    EXPECT_FALSE(parse_speed(wrong).ok()) << wrong;
  for (const char* wrong : {"", "5", "ms", "-5ms"}) EXPECT_FALSE(parse_seconds(wrong).ok()) << wrong;
  EXPECT_FALSE(parse_size("many", b).ok());
}

}  // namespace
}  // namespace miao::compress
