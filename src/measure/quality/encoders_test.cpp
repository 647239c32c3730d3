// Labels, vectors and pairs by tiny encoders, speech by a tiny Whisper.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "base/file.h"
#include "io/testing.h"
#include "measure/divergence.h"
#include "measure/quality.h"
#include "models/spec.h"
#include "runtime/classify.h"
#include "runtime/embed.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"
#include "runtime/speech_testing.h"

namespace miao::measure {
namespace {

namespace fs = std::filesystem;
using runtime::Encoder;

const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";

class EncoderQuality : public testing::Test {
 protected:
  // A golden model with the small tokenizer beside it.
  std::unique_ptr<Encoder> open(const std::string& name, models::Rows rows = models::Rows::head,
                                runtime::Compute compute = runtime::Compute::f32) {
    const fs::path folder = folder_ / name;
    if (!fs::exists(folder)) {
      fs::create_directories(folder);
      for (const char* file : {"config.json", "model.safetensors"})
        fs::copy_file(kGolden / "encoders" / name / file, folder / file);
      fs::copy_file(kGolden / "tasks/tokenizer.json", folder / "tokenizer.json");
    }
    auto encoder = Encoder::open(folder, {.threads = 2, .compute = compute, .rows = rows});
    EXPECT_TRUE(encoder.ok()) << encoder.error().str();
    return encoder.ok() ? std::move(*encoder) : nullptr;
  }
  static std::vector<std::string> texts(int count) {
    const char* const kWords[] = {"The", "cat", "sat", "in", "Paris", "."};
    std::vector<std::string> out;
    for (int i = 0; i < count; ++i) {
      std::string text;
      for (int j = i + 1; j > 0; j /= 3) text += std::string(kWords[j % 6]) + " ";
      out.push_back(text + std::to_string(i));
    }
    return out;
  }

  io::TempDir folder_;
};

TEST_F(EncoderQuality, LabelsByNameAndPlace) {
  const auto model = open("bert-sequence"), base = open("bert-sequence");
  ASSERT_TRUE(model && base);
  const auto& names = model->spec().head.labels;
  ASSERT_GE(names.size(), 2u);
  const auto all = texts(20);
  const auto scores = *runtime::classify(*model, all);
  std::vector<LabelledText> labelled;
  int64_t right = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto row = std::span(scores).subspan(i * names.size(), names.size());
    const auto best = std::ranges::max_element(row) - row.begin();
    const size_t label = i % 4 == 0 ? (static_cast<size_t>(best) + 1) % names.size() : static_cast<size_t>(best);
    right += static_cast<ptrdiff_t>(label) == best;
    labelled.push_back({all[i], i % 2 ? names[label] : std::to_string(label)});
  }
  const auto records = measure_labels(*model, base.get(), labelled, {});
  ASSERT_TRUE(records.ok()) << records.error().str();
  const Quality q = summarise(*records, 0.95);
  EXPECT_DOUBLE_EQ(q.find("accuracy")->value, static_cast<double>(right) / 20);
  EXPECT_EQ(q.find("flips")->value, 0);
  EXPECT_EQ(q.find("kld_mean")->value, 0);
  labelled[3].label = "no such class";
  const auto wrong = measure_labels(*model, nullptr, labelled, {});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().where, "text 4");
  EXPECT_NE(wrong.error().message.find("no class 'no such class', but " + names[0]), std::string::npos);
  const auto other = open("bert");
  EXPECT_EQ(measure_labels(*other, nullptr, labelled, {}).error().code, Code::unsupported);
}

TEST_F(EncoderQuality, VectorsAreComparedByAngleAndNeighbours) {
  constexpr auto kRows = models::Rows::sentence;
  const auto model = open("bert", kRows), base = open("bert", kRows), other = open("mpnet", kRows),
             coarse = open("bert", kRows, runtime::Compute::int8);
  ASSERT_TRUE(model && base && other && coarse);
  const auto all = texts(30);
  const auto same = measure_vectors(*model, *base, all, 10, {});
  ASSERT_TRUE(same.ok()) << same.error().str();
  Quality q = summarise(*same, 0.95);
  EXPECT_NEAR(q.find("cosine_min")->value, 1, 1e-6);
  EXPECT_EQ(q.find("overlap")->value, 1);
  ASSERT_TRUE(judge(q, std::vector<Budget>{{"overlap", 0.005, true}}).ok());
  EXPECT_EQ(q.outcome(), Outcome::not_shown);  // 300 neighbours and no change: below 1 %
  ASSERT_TRUE(judge(q, std::vector<Budget>{{"overlap", 0.02, true}}).ok());
  EXPECT_EQ(q.verdicts[1].outcome, Outcome::passes);
  const auto near = measure_vectors(*coarse, *base, all, 3, {});
  ASSERT_TRUE(near.ok());
  // By hand, of one text.
  const auto a = *runtime::embed(*coarse, std::span(all).subspan(4, 1)),
             b = *runtime::embed(*base, std::span(all).subspan(4, 1));
  const double ab = std::inner_product(a.begin(), a.end(), b.begin(), 0.0),
               aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.0),
               bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  EXPECT_NEAR(near->cosine[4], ab / std::sqrt(aa * bb), 1e-6);
  EXPECT_LT(near->cosine[4], 1 - 1e-7);
  EXPECT_GT(near->cosine[4], 0.9);
  EXPECT_FALSE(measure_vectors(*model, *base, std::span(all).first(1), 10, {}).ok());
  EXPECT_EQ(measure_vectors(*model, *base, std::span(all).first(3), 10, {})->near, 2);
  if (other->spec().dim == model->spec().dim) {
    Quality far = summarise(*measure_vectors(*other, *base, all, 10, {}), 0.95);
    EXPECT_LT(far.find("cosine_mean")->value, 0.9);
  }
}

TEST_F(EncoderQuality, PairsAreRanked) {
  constexpr auto kRows = models::Rows::sentence;
  const auto model = open("bert", kRows), base = open("bert", kRows);
  ASSERT_TRUE(model && base);
  const auto all = texts(40);
  std::vector<ScoredPair> pairs;
  for (size_t i = 0; i < all.size(); ++i) pairs.push_back({all[i], all[(7 * i + 3) % all.size()], 0});
  for (ScoredPair& p : pairs) {  // the score is what the model says, so that the order is its own
    const std::string both[] = {p.first, p.second};
    const auto v = *runtime::embed(*model, both);
    const auto half = static_cast<ptrdiff_t>(v.size() / 2);
    const double dot = std::inner_product(v.begin(), v.begin() + half, v.begin() + half, 0.0),
                 xx = std::inner_product(v.begin(), v.begin() + half, v.begin(), 0.0),
                 yy = std::inner_product(v.begin() + half, v.end(), v.begin() + half, 0.0);
    p.score = dot / std::sqrt(xx * yy);
  }
  const auto records = measure_pairs(*model, base.get(), pairs, {});
  ASSERT_TRUE(records.ok()) << records.error().str();
  const Quality q = summarise(*records, 0.95);
  EXPECT_GT(q.find("spearman")->value, 0.99);
  EXPECT_EQ(q.find("spearman_change")->value, 0);
  for (ScoredPair& p : pairs) p.score = 1;
  EXPECT_FALSE(measure_pairs(*model, nullptr, pairs, {}).ok());
}

TEST(SlowSpeechQuality, WordErrorsOfRecordings) {
  io::TempDir folder;
  runtime::write_tiny_whisper(folder / "m");
  std::vector<float> samples(32000);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = 0.3f * std::sin(0.05f * static_cast<float>(i));
  ASSERT_TRUE(write_file_atomic(folder / "a.wav", runtime::wav(samples)).ok());
  auto engine = runtime::Engine::open(folder / "m", {.threads = 2});
  ASSERT_TRUE(engine.ok());
  const std::string audio = (folder / "a.wav").string();
  const std::vector<Recording> recordings = {{audio, "one two three"}, {audio, "four"}};
  const auto records = measure_speech(**engine, engine->get(), recordings, "en", {});
  ASSERT_TRUE(records.ok()) << records.error().str();
  EXPECT_EQ(records->words, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(records->errors, records->base_errors);
  const Quality q = summarise(*records, 0.95);
  EXPECT_DOUBLE_EQ(q.find("wer")->value, static_cast<double>(records->errors[0] + records->errors[1]) / 4);
  EXPECT_EQ(q.find("wer_rise")->value, 0);
  EXPECT_FALSE(q.losses[0].upper);  // two recordings
  EXPECT_FALSE(measure_speech(**engine, nullptr, std::vector<Recording>{{audio, "..."}}, "en", {}).ok());
  EXPECT_FALSE(measure_speech(**engine, nullptr, std::vector<Recording>{{audio + "x", "a"}}, "en", {}).ok());
}

TEST(SpeechSummary, RatesOfKnownErrors) {
  SpeechRecords r{.paired = true, .words = {}, .errors = {}, .base_errors = {}};
  for (int i = 0; i < 40; ++i) {
    r.words.push_back(10);
    r.errors.push_back(i % 4 == 0 ? 2 : 1);
    r.base_errors.push_back(1);
  }
  const Quality q = summarise(r, 0.95);
  EXPECT_DOUBLE_EQ(q.find("wer")->value, 50.0 / 400);
  EXPECT_DOUBLE_EQ(q.find("base_wer")->value, 0.1);
  EXPECT_DOUBLE_EQ(q.find("wer_rise")->value, 0.025);
  EXPECT_GT(q.find("wer_rise")->ci->low, 0);
  EXPECT_DOUBLE_EQ(q.losses[0].value, 0.025);
  EXPECT_GT(*q.losses[0].upper, 0.03);
  r.errors = r.base_errors;  // no change seen: the bound is that of 400 words
  const Quality none = summarise(r, 0.95);
  EXPECT_EQ(none.losses[0].value, 0);
  EXPECT_NEAR(*none.losses[0].upper, 1 - std::pow(0.05, 1.0 / 400), 1e-9);
}

TEST(DivergenceOfClasses, OfKnownProbabilities) {
  // p = (3/4, 1/4) against q = (1/2, 1/2), up to a constant.
  const float base[] = {1 + std::log(3.0f), 1}, other[] = {-2, -2};
  const double kl = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  EXPECT_NEAR(kl_of_one_class(base, other), kl, 1e-6);
  EXPECT_EQ(kl_of_one_class(base, base), 0);
  // The same as one class that holds with 3/4, and one that is the base's.
  const float each[] = {std::log(3.0f), 0.5f}, half[] = {0, 0.5f}, far[] = {-90, 0.5f};
  EXPECT_NEAR(kl_of_each_class(each, half), kl, 1e-6);
  EXPECT_EQ(kl_of_each_class(each, each), 0);
  EXPECT_NEAR(kl_of_each_class(each, far), 67.5, 0.6);
}

}  // namespace
}  // namespace miao::measure
