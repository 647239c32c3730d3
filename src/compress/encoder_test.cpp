// Searches, calibration and rounding of encoders, on tiny random ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/file.h"
#include "compress/calibration_text.h"
#include "compress/compress.h"
#include "compress/compress_report.h"
#include "compress/gguf_copy.h"
#include "compress/measurements.h"
#include "compress/quantize.h"
#include "compress/search/records.h"
#include "compress/search/split.h"
#include "compress/search/streams.h"
#include "io/testing.h"
#include "runtime/embed.h"
#include "runtime/encoder_testing.h"

namespace miao::compress {
namespace {

namespace fs = std::filesystem;
using runtime::Blockwise;
using runtime::Encoder;

constexpr DType kTypes[] = {DType::q4_0, DType::q5_0, DType::q8_0};

double mean(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }

std::string line(int i) {
  const char* const words[] = {"The", "cat", "sat", "in", "Paris", ".", "dog", "on", "mat", "ran"};
  std::string out;
  for (int j = i * 7 + 11; j > 0; j /= 3) out += std::string(words[(j + i) % 10]) + " ";
  return out + std::to_string(i);
}
std::string text(int lines) {
  std::string out;
  for (int i = 0; i < lines; ++i) out += line(i) + "\n";
  return out;
}

class EncoderCompress : public testing::Test {
 protected:
  // The model as the GGUF file that compress works on.
  fs::path gguf(int classes = 0, bool mean_pool = true) {
    const fs::path folder = dir_ / ("bert" + std::to_string(classes) + (mean_pool ? "" : "first"));
    runtime::write_tiny_bert(folder, classes, mean_pool);
    const auto checkpoint = *io::Checkpoint::open(folder);
    copies_.push_back(std::move(*GgufCopy::of(checkpoint, dir_ / "copy.gguf", {}, nullptr)));
    return copies_.back().path();
  }
  fs::path folder(int classes = 0) {
    runtime::write_tiny_bert(dir_ / "bert", classes);
    return dir_ / "bert";
  }
  CompressOptions options() const {
    return {.request = {.batch = 4},
            .text = text(400),
            .text_name = "text",
            .types = {std::begin(kTypes), std::end(kTypes)},
            .tries = 1,
            .threads = 2,
            .writer = "test"};
  }
  std::vector<measure::ScoredPair> pairs(int n) const {
    std::vector<measure::ScoredPair> out;
    for (int i = 0; i < n; ++i) out.push_back({line(i), line(i + i % 9), double(9 - i % 9)});
    return out;
  }
  void expect_error(const CompressOptions& o, const fs::path& model, Code code, std::string_view words) {
    const auto found = compress(model, dir_ / "out", o);
    ASSERT_FALSE(found.ok()) << words;
    EXPECT_EQ(found.error().code, code) << found.error().str();
    EXPECT_NE(found.error().str().find(words), std::string::npos) << found.error().str();
    EXPECT_FALSE(fs::exists(dir_ / "out" / "model.gguf"));
  }

  io::TempDir dir_;
  std::vector<GgufCopy> copies_;
};

TEST_F(EncoderCompress, LossesOfVectorsAndClassesFallWithBitsAndAreThoseOfFiles) {
  for (const int classes : {0, 1, 3}) {
    SCOPED_TRACE(classes);
    const fs::path file = gguf(classes);
    const auto model = *runtime::open_blockwise(file, {.threads = 2});
    const auto items = *text_items(static_cast<Encoder&>(*model), text(60), {});
    ASSERT_EQ(items.size(), 60u);
    const Importance importance = *measure_importance(*model, items, {}, nullptr);
    EXPECT_EQ(importance.inputs().size(), 2u * 6);
    const auto matrices = measure_sensitivity(*model, items, importance, kTypes, {});
    ASSERT_TRUE(matrices.ok()) << matrices.error().str();
    EXPECT_EQ(matrices->size(), 2u * 6 + 1 + (classes ? 2 : 0));  // with the embedding and the head
    for (const MatrixLoss& m : *matrices) {
      SCOPED_TRACE(m.tensor);
      EXPECT_GT(m.probe_loss, 0);
      EXPECT_GT(m.types[1].loss, m.types[2].loss);
      EXPECT_GE(m.types[2].loss, m.types[3].loss);
    }
    // What Q8_0 costs is measured of each matrix by itself.
    const MatrixLoss& value = *std::ranges::find(*matrices, "blk.0.attn_v.weight", &MatrixLoss::tensor);
    const TypesByName alone[] = {{{value.tensor, DType::q8_0}}};
    const double eight = mean((*measure_losses(*model, items, importance, alone, {}))[0]);
    EXPECT_GE(value.types[3].loss, 0.999 * eight);  // more where its weights alone are thought to cost more
    EXPECT_LT(value.types[3].loss, 1.5 * eight);
    TypesByName mixed;
    for (size_t i = 0; i < matrices->size(); ++i) mixed[(*matrices)[i].tensor] = kTypes[i % 3];
    const TypesByName two[] = {{{"blk.1.ffn_down.weight", DType::q8_0}}, mixed};
    const auto losses = *measure_losses(*model, items, importance, two, {});
    EXPECT_LT(mean(losses[0]), mean(losses[1]));
    QuantizeOptions o{.recipe = *Recipe::named("Q4_0"), .importance = &importance, .calibration = {}, .threads = 2};
    o.choice.pure = true;
    for (const auto& [name, type] : mixed) o.choice.overrides.push_back({name, type, true});
    ASSERT_TRUE(quantize(model->checkpoint(), dir_ / "mixed.gguf", o).ok());
    const auto other = *runtime::open_blockwise(dir_ / "mixed.gguf", {.threads = 1});
    Streams own(*model, items, nullptr), theirs(*other, items, nullptr);
    const Base base = *Base::of(*model, own, items);
    EXPECT_EQ(*base.divergence(*other, theirs), losses[1]);
    Streams again(*model, items, nullptr);
    EXPECT_EQ(mean(*base.divergence(*model, again)), 0) << "the model is as it was";
  }
}

TEST_F(EncoderCompress, GptqLosesLessThanRoundingAlone) {
  const auto source = *io::Checkpoint::open(gguf());
  const auto model = *runtime::open_blockwise(source.path(), {.threads = 2});
  const auto items = *text_items(static_cast<Encoder&>(*model), text(300), {});
  const Importance importance = *measure_importance(*model, items, {}, nullptr);
  Streams own(*model, items, nullptr);
  const Base base = *Base::of(*model, own, items);
  double least_squares = 0;
  for (const bool gptq : {false, true}) {
    QuantizeOptions o{.recipe = *Recipe::named("Q4_0"), .calibration = {}, .threads = 2};
    if (gptq) o.calibration = items;
    ASSERT_TRUE(quantize(source, dir_ / "small.gguf", o).ok());
    const auto small = *runtime::open_blockwise(dir_ / "small.gguf", {.threads = 2});
    Streams theirs(*small, items, nullptr);
    const double loss = mean(*base.divergence(*small, theirs));
    EXPECT_GT(loss, 0);
    if (gptq) EXPECT_LT(loss, 0.95 * least_squares);
    least_squares = loss;
  }
}

TEST_F(EncoderCompress, TextsOfCalibrationAreSpreadEvenly) {
  const auto model = *runtime::open_blockwise(gguf(), {.threads = 1});
  auto& encoder = static_cast<Encoder&>(*model);
  const auto all = *text_items(encoder, text(100) + "\n\n", {});
  ASSERT_EQ(all.size(), 100u);
  size_t tokens = 0;
  for (const auto& ids : all) tokens += ids.size();
  const auto some = *text_items(encoder, text(100), {.windows = 1, .tokens = static_cast<int64_t>(tokens / 4)});
  EXPECT_NEAR(static_cast<double>(some.size()), 25, 1);
  EXPECT_EQ(some.back(), all.back());
  EXPECT_FALSE(text_items(encoder, "\n\n", {}).ok());
  EXPECT_FALSE(text_items(encoder, std::string("a\0b", 3), {}).ok());
}

TEST_F(EncoderCompress, FindsAModelWithinItsBudgetsAndDoesNotMeasureTwice) {
  auto store = *Measurements::open(dir_ / "store.sqlite");
  CompressOptions o = options();
  o.store = &store;
  o.pairs = pairs(200);
  o.budgets.losses = {*measure::parse_budget("cosine:5%"), *measure::parse_budget("spearman:50%"),
                      *measure::parse_budget("overlap:90%")};
  o.budgets.size_share = 0.7;
  const auto found = compress(folder(), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_TRUE(found->kept) << (found->misses.empty() ? "" : found->misses[0]);
  EXPECT_TRUE(fs::exists(dir_ / "out" / "model.gguf"));
  ASSERT_TRUE(found->final_quality);
  EXPECT_EQ(found->final_quality->verdicts.size(), 3u);
  EXPECT_TRUE(found->final_quality->find("distance_mean"));
  EXPECT_EQ(found->sets.at(kFinal).windows, 180);
  EXPECT_EQ(found->request.lengths.size() % 4, 0u);
  EXPECT_EQ(found->request.gen, 0);
  // The mixes lie around what measured times chose, so their order by loss is not the same in every run.
  EXPECT_EQ(found->additivity.measured.size(), found->additivity.predicted.size());
  EXPECT_GT(found->additivity.slope, 0.25);
  EXPECT_LT(found->additivity.slope, 4);
  const std::string told = to_text(*found);
  for (const char* words : {"4 texts of", "1 - cosine", "rank correlation", "180 texts that the search did not see"})
    EXPECT_NE(told.find(words), std::string::npos) << told;
  for (const char* words : {"nats", "KL", "token is", "perplexity"})
    EXPECT_EQ(told.find(words), std::string::npos) << told;
  const std::string page = to_html(*found, {}) + to_markdown(*found, {});
  for (const char* words : {"nats", "KL divergence", "further token", "first token", "windows"})
    EXPECT_EQ(page.find(words), std::string::npos) << words;
  // Again: nothing is measured but speeds.
  const int64_t entries = store.size();
  const auto again = compress(folder(), dir_ / "out", o);
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(store.size(), entries);
}

TEST_F(EncoderCompress, ClassifiersByLabelledTexts) {
  CompressOptions o = options();
  o.text.clear();
  for (int i = 0; i < 400; ++i) o.labels.push_back({line(i), i % 2 ? "class 1" : "0"});
  o.budgets.losses = {*measure::parse_budget("kld:0.5"), *measure::parse_budget("accuracy:50%")};
  const auto found = compress(folder(3), dir_ / "out", o);
  ASSERT_TRUE(found.ok()) << found.error().str();
  EXPECT_TRUE(found->kept) << (found->misses.empty() ? "" : found->misses[0]);
  EXPECT_NE(to_text(*found).find("KL divergence of classes"), std::string::npos);
  fs::remove_all(dir_ / "out");
  o.labels[3].label = "no such class";
  expect_error(o, folder(3), Code::invalid, "no class 'no such class'");
  o.labels.clear();
  o.budgets.losses = {*measure::parse_budget("cosine:1%")};
  o.text = text(400);
  expect_error(o, folder(3), Code::invalid, "give --labels FILE");
}

TEST_F(EncoderCompress, BadInputEndsClearly) {
  CompressOptions o = options();
  const fs::path model = folder();
  o.budgets.losses = {*measure::parse_budget("ppl:1%")};
  expect_error(o, model, Code::invalid, "budget ppl:1%: is not measured of an encoder");
  o.budgets.losses = {*measure::parse_budget("spearman:1%")};
  expect_error(o, model, Code::invalid, "without --pairs");
  o.budgets.losses = {*measure::parse_budget("overlap:1%")};
  o.budgets.first = 1;
  expect_error(o, model, Code::invalid, "writes no tokens");
  o.budgets.first = std::nullopt;
  o.kv = {kernels::KvType::int8};
  expect_error(o, model, Code::invalid, "keeps no keys and values");
  o.kv.clear();
  o.text = text(60);
  expect_error(o, model, Code::invalid, "15 texts are left for verification");
  o.text.clear();
  expect_error(o, model, Code::invalid, "give texts, one a line");
  o.text = text(400);
  o.tokens = 65;
  expect_error(o, model, Code::invalid, "the model reads 1 to 64");
  o.tokens = std::nullopt;
  o.labels.push_back({"a", "b"});
  o.budgets.losses = {*measure::parse_budget("accuracy:1%")};
  expect_error(o, model, Code::invalid, "leave --labels out");
  o.pairs = pairs(3);
  expect_error(o, model, Code::invalid, "give pairs or labels");
  o = options();
  o.budgets.losses = {*measure::parse_budget("overlap:1%")};
  o.pairs = pairs(20);
  expect_error(o, model, Code::invalid, "pairs are left for verification");
  fs::create_directories(dir_ / "tokens");
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::copy_file(fs::path(MIAO_SOURCE_DIR) / "tests/golden/encoders/bert-tokens" / name, dir_ / "tokens" / name);
  }
  o = options();
  o.budgets.size_share = 0.5;
  expect_error(o, dir_ / "tokens", Code::unsupported, "BertForTokenClassification");
}

TEST(Records, OfAnotherFormAreRefused) {
  const measure::VectorRecords vectors{.near = 2, .cosine = {1, 0.5f}, .overlap = {1}, .distance = {0, 0.5f}};
  Json json = to_json(vectors);
  EXPECT_EQ(vector_records_of(json)->distance, vectors.distance);
  json["overlap"] = {1, 1, 1};
  EXPECT_EQ(vector_records_of(json).error().code, Code::corrupt);
  const measure::PairRecords pairs{.paired = true, .score = {1, 2}, .own = {0.5, 0.25}, .base = {0, 1}};
  json = to_json(pairs);
  EXPECT_EQ(pair_records_of(json)->own, pairs.own);
  json["base"] = {"x", 1};
  EXPECT_EQ(pair_records_of(json).error().code, Code::corrupt);
  EXPECT_EQ(label_records_of(Json::object()).error().code, Code::corrupt);
  EXPECT_EQ(text_records_of(Json::object()).error().code, Code::corrupt);
}

}  // namespace
}  // namespace miao::compress
