// Entities, answers, scores of documents and attributions against transformers on the tiny models of
// tests/golden/tasks.
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "io/testing.h"
#include "prep/tokenizer_test_support.h"
#include "runtime/answer.h"
#include "runtime/classify.h"
#include "runtime/entities.h"
#include "runtime/explain.h"
#include "runtime/rerank.h"
#include "runtime/windows.h"
#include "runtime/words.h"

namespace miao::runtime {
namespace {

namespace fs = std::filesystem;

const fs::path kTasks = fs::path(MIAO_SOURCE_DIR) / "tests/golden/tasks";
constexpr double kTolerance = 1e-4;

Json cases() {
  auto text = read_file(kTasks / "cases.json");
  EXPECT_TRUE(text.ok());
  return Json::parse(*text);
}

// A model of the folder with the tokenizer beside it, and perhaps more in its configuration.
class Opened {
 public:
  explicit Opened(const std::string& model, const Json& more = Json::object(), int64_t ctx = 0) {
    fs::copy_file(kTasks / model / "model.safetensors", scratch_.path() / "model.safetensors");
    fs::copy_file(kTasks / "tokenizer.json", scratch_.path() / "tokenizer.json");
    Json config = Json::parse(*read_file(kTasks / model / "config.json"));
    config.update(more);
    EXPECT_TRUE(write_file_atomic(scratch_.path() / "config.json", dump_json(config)).ok());
    auto opened = Encoder::open(scratch_.path(), {.threads = 1, .ctx = ctx});
    EXPECT_TRUE(opened.ok()) << opened.error().str();
    encoder_ = std::move(*opened);
  }
  Encoder& operator*() { return *encoder_; }

 private:
  io::TempDir scratch_;
  std::unique_ptr<Encoder> encoder_;
};

prep::ByteRange range_of(const Json& row) { return {row["range"][0].get<uint32_t>(), row["range"][1].get<uint32_t>()}; }

TEST(Windows, CoverATextAndOverlap) {
  const auto check = [](size_t tokens, size_t room, size_t overlap, const std::vector<size_t>& begins) {
    const auto got = windows(tokens, room, overlap);
    ASSERT_EQ(got.size(), begins.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].begin, begins[i]);
    EXPECT_EQ(got.back().begin + got.back().size, tokens);
  };
  check(0, 4, 2, {0});
  check(4, 4, 2, {0});
  check(5, 4, 2, {0, 2});
  check(7, 4, 1, {0, 3});
  check(9, 4, 100, {0, 2, 4, 6});
  check(3, 1, 1, {0, 1, 2});
}

// Tokens that are bytes of one letter, which stands behind a blank.
TEST(Words, DoNotBeginInsideALetter) {
  const Json golden = prep::test::golden_json("gpt2.json");
  const auto tokenizer = prep::Tokenizer::from_json(dump_json(prep::test::patched_base(golden)), "", "gpt2");
  ASSERT_TRUE(tokenizer.ok());
  const std::string text = "the \U0001f600 cat";
  const auto located = tokenizer->locate(text);
  ASSERT_TRUE(located.ok());
  size_t words = 1;
  for (size_t t = 1; t < located->ids.size(); ++t) words += !continues_word(*tokenizer, text, *located, t);
  EXPECT_GT(located->ids.size(), 3u);
  EXPECT_EQ(words, 3u);
}

TEST(TasksGolden, Entities) {
  const Json golden = cases();
  Opened encoder("entities");
  const std::pair<const char*, Aggregation> kinds[] = {{"simple", Aggregation::simple},
                                                       {"first", Aggregation::first},
                                                       {"average", Aggregation::average},
                                                       {"max", Aggregation::max}};
  size_t compared = 0;
  for (const auto& [name, aggregation] : kinds) {
    std::vector<std::string> texts;
    std::vector<Json> wanted;
    for (const Json& c : golden["entities"]) {
      if (c["aggregation"].get<std::string>() != name) continue;
      texts.push_back(c["text"].get<std::string>());
      wanted.push_back(c["entities"]);
    }
    const auto found =
        find_entities(*encoder, texts, {.aggregation = aggregation, .overlap = golden["overlap"].get<int64_t>()});
    ASSERT_TRUE(found.ok()) << found.error().str();
    for (size_t i = 0; i < texts.size(); ++i) {
      SCOPED_TRACE(std::string(name) + ": " + texts[i]);
      const Result<Entities>& got = (*found)[i];
      ASSERT_TRUE(got.ok());
      ASSERT_EQ(got->size(), wanted[i].size());
      for (size_t e = 0; e < got->size(); ++e, ++compared) {
        EXPECT_EQ((*got)[e].label, wanted[i][e]["label"].get<std::string>());
        EXPECT_NEAR(double{(*got)[e].score}, wanted[i][e]["score"].get<double>(), kTolerance);
        EXPECT_EQ((*got)[e].range, range_of(wanted[i][e])) << (*got)[e].range.begin << " " << (*got)[e].range.end;
      }
    }
  }
  EXPECT_GT(compared, 500u);
}

TEST(TasksGolden, Answers) {
  const Json golden = cases();
  Opened encoder("answers");
  for (const Json& c : golden["answers"]) {
    const auto question = c["question"].get<std::string>(), text = c["text"].get<std::string>();
    SCOPED_TRACE(question);
    const auto got = find_answers(*encoder, question, text, {.count = 3, .overlap = golden["overlap"].get<int64_t>()});
    ASSERT_TRUE(got.ok()) << got.error().str();
    EXPECT_NEAR(double{got->none}, c["none"].get<double>(), kTolerance);
    ASSERT_EQ(got->best.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(double{got->best[i].score}, c["answers"][i]["score"].get<double>(), kTolerance);
      EXPECT_EQ(got->best[i].range, range_of(c["answers"][i]));
    }
  }
}

TEST(TasksGolden, ScoresOfDocuments) {
  const Json golden = cases();
  for (const Json& c : golden["rerank"]) {
    Opened encoder(c["model"].get<std::string>());
    const auto documents = c["documents"].get<std::vector<std::string>>();
    const auto got = rerank(*encoder, c["query"].get<std::string>(), documents);
    ASSERT_TRUE(got.ok()) << got.error().str();
    for (size_t i = 0; i < documents.size(); ++i) {
      ASSERT_TRUE((*got)[i].ok());
      EXPECT_NEAR(double{*(*got)[i]}, c["scores"][i].get<double>(), kTolerance) << documents[i];
    }
  }
}

TEST(Rerank, TheConfigurationMayAskForRawOutputs) {
  const std::string document = "the cat sat";
  Opened plain("rerank-1");
  Opened raw("rerank-1", {{"sentence_transformers", {{"activation_fn", "torch.nn.modules.linear.Identity"}}}});
  Opened strange("rerank-1", {{"sbert_ce_default_activation_function", "torch.nn.Tanh"}});
  const float p = *rerank(*plain, "who", {&document, 1})->front(), x = *rerank(*raw, "who", {&document, 1})->front();
  EXPECT_NEAR(double{p}, 1 / (1 + std::exp(-double{x})), 1e-6);
  const auto refused = rerank(*strange, "who", {&document, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().str().find("Tanh"), std::string::npos);
}

TEST(Rerank, ADocumentThatIsTooLongHarmsNoOther) {
  Opened encoder("rerank-1");
  std::string longer;
  for (int i = 0; i < 70; ++i) longer += "cat ";
  const std::string documents[] = {"the cat", longer, "a river"};
  const auto got = rerank(*encoder, "who", documents), cut = rerank(*encoder, "who", documents, {.truncate = true});
  ASSERT_TRUE(got.ok() && cut.ok());
  EXPECT_NE((*got)[1].error().message.find("the model reads 64"), std::string::npos) << (*got)[1].error().str();
  EXPECT_EQ(*(*got)[2], *(*cut)[2]);
  EXPECT_TRUE((*cut)[1].ok());
}

TEST(Answers, BadQuestionsAndTexts) {
  Opened encoder("answers");
  std::string longer;
  for (int i = 0; i < 70; ++i) longer += "cat ";
  const auto message = [&](std::string_view question, std::string_view text) {
    const auto got = find_answers(*encoder, question, text);
    return got.ok() ? std::string() : got.error().str();
  };
  EXPECT_NE(message("", "a").find("question is empty"), std::string::npos);
  EXPECT_NE(message("a", "").find("text is empty"), std::string::npos);
  EXPECT_NE(message(longer, "a").find("shorten"), std::string::npos);
  EXPECT_EQ(message("a", "b"), "");
}

TEST(Tasks, AnotherHeadIsRefused) {
  Opened encoder("rerank-1");
  const std::string text = "a";
  EXPECT_EQ(find_entities(*encoder, {&text, 1}).error().code, Code::unsupported);
  EXPECT_EQ(find_answers(*encoder, text, text).error().code, Code::unsupported);
  Opened entities("entities");
  EXPECT_EQ(rerank(*entities, text, {&text, 1}).error().code, Code::unsupported);
  EXPECT_EQ(explain(*entities, text).error().code, Code::unsupported);
}

TEST(Entities, TextsWithoutTokensHaveNone) {
  Opened encoder("entities");
  const std::string texts[] = {"", " \n", "the cat sat"};
  const auto got = find_entities(*encoder, texts);
  ASSERT_TRUE(got.ok());
  EXPECT_TRUE((*got)[0]->empty());
  EXPECT_TRUE((*got)[1]->empty());
  EXPECT_FALSE((*got)[2]->empty());
}

// The share of a word is what the score loses in the text without it.
TEST(Explain, IsWhatAWordAdds) {
  Opened encoder("rerank-2");
  const std::string whole = "the zebra sat in paris";
  const std::string without[] = {"zebra sat in paris", "the sat in paris", "the zebra in paris", "the zebra sat paris",
                                 "the zebra sat in"};
  const auto got = explain(*encoder, whole);
  ASSERT_TRUE(got.ok()) << got.error().str();
  const auto full = classify(*encoder, {&whole, 1}), rest = classify(*encoder, without);
  ASSERT_TRUE(full.ok() && rest.ok());
  EXPECT_EQ(got->score, (*full)[got->label]);
  ASSERT_EQ(got->words.size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(got->words[i].share, got->score - (*rest)[2 * i + got->label]);
  EXPECT_EQ(got->words[1].range, (prep::ByteRange{4, 9}));
  EXPECT_TRUE(explain(*encoder, "")->words.empty());
  std::string longer;
  for (int i = 0; i < 70; ++i) longer += "cat ";
  EXPECT_NE(explain(*encoder, longer).error().message.find("the model reads 64"), std::string::npos);
  EXPECT_EQ(explain(*encoder, longer, {.truncate = true})->words.size(), 62u);
}

}  // namespace
}  // namespace miao::runtime
