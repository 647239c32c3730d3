// Languages of translation models: codes, ids, and what stands around a text.
#include "prep/languages.h"

#include <gtest/gtest.h>

#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

using Ids = std::vector<int32_t>;
using Replaced = std::map<std::string, std::optional<std::string>>;

Result<Tokenizer> open(const char* name, Replaced replaced = {}) {
  return Tokenizer::from_files(test::reader_of(test::sentencepiece_directory() / name, std::move(replaced)), name);
}

struct Case {
  Tokenizer tokenizer;
  Languages languages;
  Ids text;  // of "the water"
};

Case load(const char* name, Replaced replaced = {}) {
  auto tokenizer = open(name, std::move(replaced));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  return {*tokenizer, Languages(*tokenizer), *tokenizer->encode("the water", {.add_special = false})};
}

Ids around(Ids before, const Ids& text, const Ids& after) {
  before.insert(before.end(), text.begin(), text.end());
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

TEST(Languages, SourceBeforeTheText) {
  for (const auto& [name, source, target, count] :
       {std::tuple("m2m", "de", "fr", 100), std::tuple("mbart50", "de_DE", "fr_XX", 52),
        std::tuple("nllb", "deu_Latn", "fra_Latn", 202)}) {
    const Case c = load(name);
    EXPECT_EQ(c.languages.codes().size(), static_cast<size_t>(count));
    const int32_t from = *c.languages.id(source), to = *c.languages.id(target), end = *c.tokenizer.eos_id();
    EXPECT_EQ(c.languages.code(to), std::optional<std::string_view>(target));
    const auto input = c.languages.encode("the water", source, target);
    ASSERT_TRUE(input.ok());
    EXPECT_EQ(input->ids, around({from}, c.text, {end}));
    EXPECT_EQ(input->first, std::optional(to));
  }
}

TEST(Languages, SourceBehindTheText) {
  for (const auto& [name, source, target] :
       {std::tuple("mbart", "de_DE", "fr_XX"), std::tuple("nllb_old", "deu_Latn", "fra_Latn")}) {
    const Case c = load(name);
    const auto input = c.languages.encode("the water", source, target);
    ASSERT_TRUE(input.ok());
    EXPECT_EQ(input->ids, around({}, c.text, {*c.tokenizer.eos_id(), *c.languages.id(source)}));
    EXPECT_EQ(input->first, std::optional(*c.languages.id(target)));
  }
}

TEST(Languages, TheFilesNameTheSourceThatIsNotNamed) {
  const Case c = load("m2m");  // src_lang fr
  const auto input = c.languages.encode("the water", "", "");
  EXPECT_EQ(input->ids, around({*c.languages.id("fr")}, c.text, {*c.tokenizer.eos_id()}));
  EXPECT_EQ(input->ids, *c.tokenizer.encode("the water"));
  EXPECT_FALSE(input->first);
}

TEST(Languages, MarianPutsTheTargetBeforeTheText) {
  const Case c = load("marian_many");
  const auto input = c.languages.encode("the water", "", "fra");
  ASSERT_TRUE(input.ok());
  EXPECT_EQ(input->ids, around({*c.tokenizer.piece_to_id(">>fra<<")}, c.text, {*c.tokenizer.eos_id()}));
  EXPECT_EQ(input->ids, *c.tokenizer.encode(">>fra<< the water"));
  EXPECT_FALSE(input->first);
  EXPECT_EQ(*c.languages.id(">>fra<<"), *c.languages.id("fra"));
  // In the middle of a text it is text.
  const auto inside = *c.tokenizer.encode("the >>fra<< water");
  EXPECT_EQ(std::count(inside.begin(), inside.end(), *c.languages.id("fra")), 0);
}

TEST(Languages, AModelForOnePair) {
  const Case c = load("marian");
  EXPECT_TRUE(c.languages.codes().empty());
  EXPECT_EQ(c.languages.encode("the water", "en", "fr")->ids, around({}, c.text, {*c.tokenizer.eos_id()}));
  EXPECT_EQ(c.languages.encode("the water", "", "")->ids, *c.tokenizer.encode("the water"));
  const auto wrong = c.languages.encode("the water", "en", "de");
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("from en to fr alone"), std::string::npos);
  EXPECT_EQ(c.languages.id("fr").error().code, Code::unsupported);
}

TEST(Languages, UnknownOnesNameThoseLikeThem) {
  const Case nllb = load("nllb"), many = load("marian_many"), t5 = load("t5");
  const auto unknown = nllb.languages.encode("x", "eng_Latn", "fr");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, Code::not_found);
  EXPECT_NE(unknown.error().message.find("fra_Latn"), std::string::npos) << unknown.error().message;
  EXPECT_NE(many.languages.id("xx").error().message.find("it knows fra, ita, deu, pt_br"), std::string::npos);
  EXPECT_NE(t5.languages.encode("x", "en", "").error().message.find("no choice of languages"), std::string::npos);
}

TEST(Languages, IdsOfFilesThatDoNotListThem) {
  const Case listed = load("nllb");
  const Case bare = load("nllb", {{"tokenizer_config.json", R"({"tokenizer_class": "NllbTokenizerFast"})"}});
  for (const std::string_view code : {"ace_Arab", "eng_Latn", "zul_Latn"})
    EXPECT_EQ(*bare.languages.id(code), *listed.languages.id(code));
  EXPECT_EQ(bare.tokenizer.piece_to_id("<mask>"), listed.tokenizer.piece_to_id("<mask>"));
}

TEST(Languages, OfATokenizerJson) {
  const std::string json = R"({"added_tokens":[{"id":1,"content":"</s>","special":true},
    {"id":2,"content":"eng_Latn","special":true},{"id":3,"content":"fra_Latn","special":true}],
    "pre_tokenizer":{"type":"Whitespace"},
    "model":{"type":"WordPiece","unk_token":"u","vocab":{"u":0,"a":4}}})";
  const std::string config = R"({"tokenizer_class":"NllbTokenizer","eos_token":"</s>","src_lang":"eng_Latn"})";
  auto tokenizer = open("nowhere", {{"tokenizer.json", json}, {"tokenizer_config.json", config}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  const Languages languages(*tokenizer);
  EXPECT_EQ(languages.codes(), (std::vector<std::string_view>{"eng_Latn", "fra_Latn"}));
  EXPECT_EQ(languages.encode("a", "", "fra_Latn")->ids, (Ids{2, 4, 1}));
}

TEST(Directories, WhatIsMissingIsNamed) {
  const std::pair<const char*, Replaced> cases[] = {
      {"target.spm", {{"target.spm", {}}}},
      {"vocab.json", {{"vocab.json", {}}}},
      {"target_vocab.json", {{"tokenizer_config.json", R"({"separate_vocabs": true})"}}},
      {"source.spm", {{"source.spm", "nonsense"}}},
      {"<unk>", {{"vocab.json", R"({"a": 0})"}}},
      {"not a number", {{"vocab.json", R"({"<unk>": 0, "a": -1})"}}},
      {"is given to", {{"vocab.json", R"({"<unk>": 0, "a": 0})"}}},
      {"ReformerTokenizer", {{"tokenizer_config.json", R"({"tokenizer_class": "ReformerTokenizer"})"}}},
      {"tokenizer_config.json", {{"tokenizer_config.json", "{"}}},
      {"extra_ids", {{"tokenizer_config.json", R"({"extra_ids": 1000000000})"}}},
      {"too far behind", {{"added_tokens.json", R"({"<x>": 9000000})"}}},
      {"is given to", {{"added_tokens.json", R"({"<x>": 5})"}}},
  };
  for (const auto& [says, replaced] : cases) {
    const auto made = open("marian", replaced);
    ASSERT_FALSE(made.ok()) << says;
    EXPECT_NE(made.error().str().find(says), std::string::npos) << made.error().str();
  }
  EXPECT_EQ(open("nowhere").error().code, Code::not_found);
  const auto unsure = open("mbart", {{"tokenizer_config.json", "{}"}});
  EXPECT_NE(unsure.error().message.find("tokenizer_class"), std::string::npos);
  EXPECT_TRUE(open("mbart", {{"tokenizer_config.json", "{}"}, {"config.json", R"({"model_type": "mbart"})"}}).ok());
}

}  // namespace
}  // namespace miao::prep
