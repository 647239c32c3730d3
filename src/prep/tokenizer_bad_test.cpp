// Bad files: each must come back as an Error that says what is wrong, from tokenizer.json and from GGUF metadata.
#include <gtest/gtest.h>

#include <functional>

#include "prep/tokenizer.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

struct BadJson {
  const char* name;
  std::function<void(Json&)> spoil;
  const char* says;  // part of the message
  const char* base = "bytes";
};

Json split(const char* regex) {
  return Json{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}
Json nested_sequence(const char* list, int depth) {
  Json inner = Json{{"type", "Sequence"}, {list, Json::array()}};
  for (int i = 0; i < depth; ++i) inner = Json{{"type", "Sequence"}, {list, Json::array({inner})}};
  return inner;
}
Json many(const char* list, const Json& member, int count) {
  Json members = Json::array();
  for (int i = 0; i < count; ++i) members.push_back(member);
  return Json{{"type", "Sequence"}, {list, members}};
}
std::string long_text(size_t size) { return std::string(size, 'a'); }
Json added(int64_t id, const char* content) { return Json{{"id", id}, {"content", content}, {"special", true}}; }

const std::vector<BadJson>& bad_json() {
  static const std::vector<BadJson> table = {
      {"no model", [](Json& j) { j.erase("model"); }, "no \"model\""},
      {"model is an array", [](Json& j) { j["model"] = Json::array(); }, "must be an object"},
      {"unknown model type", [](Json& j) { j["model"]["type"] = "Transducer"; }, "Transducer"},
      {"no vocabulary", [](Json& j) { j["model"].erase("vocab"); }, "no vocabulary"},
      {"empty vocabulary", [](Json& j) { j["model"]["vocab"] = Json::object(); }, "empty"},
      {"negative id", [](Json& j) { j["model"]["vocab"]["x y"] = -1; }, "the id -1"},
      {"huge id", [](Json& j) { j["model"]["vocab"]["x y"] = int64_t{1} << 40; }, "is not below"},
      {"far id", [](Json& j) { j["model"]["vocab"]["x y"] = 16'000'000; }, "is not below"},
      {"id is a fraction", [](Json& j) { j["model"]["vocab"]["x y"] = 1.5; }, "not an integer"},
      {"id is text", [](Json& j) { j["model"]["vocab"]["x y"] = "1"; }, "not an integer"},
      {"two pieces with one id", [](Json& j) { j["model"]["vocab"]["x y"] = 7; }, "is given to"},
      {"token of 100 kB", [](Json& j) { j["model"]["vocab"][std::string(100'000, 'x')] = 1400; }, "too many bytes"},
      {"no merges", [](Json& j) { j["model"].erase("merges"); }, "merges"},
      {"merges is an object", [](Json& j) { j["model"]["merges"] = Json::object(); }, "must be an array"},
      {"merge of one piece", [](Json& j) { j["model"]["merges"].push_back("ab"); }, "is not two pieces"},
      {"merge of three pieces", [](Json& j) { j["model"]["merges"].push_back("a b c"); }, "is not two pieces"},
      {"merge of a number", [](Json& j) { j["model"]["merges"].push_back(7); }, "is not two pieces"},
      {"merge with an empty piece",
       [](Json& j) {
         j["model"]["merges"].push_back(Json::array({"", "a"}));
       },
       "is not two pieces"},
      {"merge of an unknown part", [](Json& j) { j["model"]["merges"].push_back("a \u4e00"); },
       "a part is not in the vocabulary"},
      {"merge into nothing",
       [](Json& j) {
         j["model"]["merges"].push_back(Json::array({"Z", "Z"}));
       },
       "the whole is not in the vocabulary"},
      {"merge listed twice", [](Json& j) { j["model"]["merges"].push_back(j["model"]["merges"][0]); }, "listed twice"},
      {"dropout", [](Json& j) { j["model"]["dropout"] = 0.1; }, "dropout"},
      {"unk_token not there", [](Json& j) { j["model"]["unk_token"] = "<nope>"; }, "unk_token"},
      {"unk_token is a number", [](Json& j) { j["model"]["unk_token"] = 3; }, "must be a string"},
      {"added token without content",
       [](Json& j) {
         j["added_tokens"].push_back(Json{{"id", 3}});
       },
       "content"},
      {"added token without id",
       [](Json& j) {
         j["added_tokens"].push_back(Json{{"content", "x"}});
       },
       "\"id\""},
      {"added token with a negative id", [](Json& j) { j["added_tokens"].push_back(added(-5, "<new>")); },
       "out of range"},
      {"added token far away", [](Json& j) { j["added_tokens"].push_back(added(10'000'000, "<new>")); },
       "is not below"},
      {"added token on a used id", [](Json& j) { j["added_tokens"].push_back(added(300, "<new>")); }, "is given to"},
      {"added_tokens is an object", [](Json& j) { j["added_tokens"] = Json::object(); }, "must be an array"},
      {"unknown normalizer",
       [](Json& j) {
         j["normalizer"] = Json{{"type", "Rot13"}};
       },
       "Rot13"},
      {"normalizer without a type", [](Json& j) { j["normalizer"] = Json::object(); }, "type"},
      {"normalizer nested 100 deep", [](Json& j) { j["normalizer"] = nested_sequence("normalizers", 100); },
       "nested too deeply"},
      {"1000 normalizers",
       [](Json& j) {
         j["normalizer"] = many("normalizers", Json{{"type", "NFC"}}, 1000);
       },
       "too many steps"},
      {"charsmap is not base64",
       [](Json& j) {
         j["normalizer"] = Json{{"type", "Precompiled"}, {"precompiled_charsmap", "*"}};
       },
       "base64"},
      {"charsmap too short",
       [](Json& j) {
         j["normalizer"] = Json{{"type", "Precompiled"}, {"precompiled_charsmap", "AAA="}};
       },
       "charsmap"},
      {"charsmap trie past its end",
       [](Json& j) {
         j["normalizer"] = Json{{"type", "Precompiled"}, {"precompiled_charsmap", "////fw=="}};
       },
       "does not fit"},
      {"replace of nothing",
       [](Json& j) {
         j["normalizer"] = Json{{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "x"}};
       },
       "empty"},
      {"replacements that explode",
       [](Json& j) {
         j["normalizer"] = many("normalizers",
                                Json{{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aaaaaaaa"}}, 20);
       },
       "512 times"},
      {"decoder that explodes",
       [](Json& j) {
         j["decoder"] = Json{{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(5000, 'a')}};
       },
       "512 times"},
      {"long Metaspace",
       [](Json& j) {
         j["pre_tokenizer"] = Json{{"type", "Metaspace"}, {"replacement", "_____"}};
       },
       "one character"},
      {"unknown expression", [](Json& j) { j["pre_tokenizer"] = split("(a+)+$"); }, "(a+)+$"},
      {"expression with a look-behind", [](Json& j) { j["pre_tokenizer"] = split("(?<=x)y"); }, "(?<=x)y"},
      {"unknown pre-tokenizer",
       [](Json& j) {
         j["pre_tokenizer"] = Json{{"type", "UnicodeScripts"}};
       },
       "UnicodeScripts"},
      {"100 pre-tokenizers", [](Json& j) { j["pre_tokenizer"] = many("pretokenizers", split("\\p{N}"), 100); },
       "too many steps"},
      {"pre-tokenizer nested 50 deep", [](Json& j) { j["pre_tokenizer"] = nested_sequence("pretokenizers", 50); },
       "nested too deeply"},
      {"unknown behavior",
       [](Json& j) {
         j["pre_tokenizer"] = split("\\p{N}");
         j["pre_tokenizer"]["behavior"] = "Eaten";
       },
       "Eaten"},
      {"unknown prepend_scheme",
       [](Json& j) {
         j["pre_tokenizer"] = Json{{"type", "Metaspace"}, {"prepend_scheme", "maybe"}};
       },
       "maybe"},
      {"split behind ByteLevel",
       [](Json& j) {
         j["pre_tokenizer"] = many("pretokenizers", Json{{"type", "ByteLevel"}}, 1);
         j["pre_tokenizer"]["pretokenizers"].push_back(split("\\p{N}"));
       },
       "behind ByteLevel"},
      {"unknown decoder",
       [](Json& j) {
         j["decoder"] = Json{{"type", "CTC"}};
       },
       "CTC"},
      {"decoder strip count",
       [](Json& j) {
         j["decoder"] = Json{{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}};
       },
       "counts of 0 to 1000"},
      {"unknown post-processor",
       [](Json& j) {
         j["post_processor"] = Json{{"type", "Bow"}};
       },
       "Bow"},
      {"template id outside",
       [](Json& j) {
         j["post_processor"] = Json{{"type", "BertProcessing"}, {"sep", {"x", 99999}}, {"cls", {"y", 1}}};
       },
       "99999"},
      {"template drops the text",
       [](Json& j) {
         j["post_processor"] =
             Json{{"type", "TemplateProcessing"}, {"single", Json::array()}, {"special_tokens", Json::object()}};
       },
       "drops the text"},
      {"template token undefined",
       [](Json& j) {
         j["post_processor"] = Json{{"type", "TemplateProcessing"},
                                    {"single", Json::array({Json{{"SpecialToken", {{"id", "<q>"}, {"type_id", 0}}}}})},
                                    {"special_tokens", Json::object()}};
       },
       "<q>"},
      {"template that repeats a long list of ids",
       [](Json& j) {
         Json single = Json::array();
         for (int i = 0; i < 1000; ++i) single.push_back(Json{{"SpecialToken", {{"id", "<q>"}, {"type_id", 0}}}});
         j["post_processor"] = Json{{"type", "TemplateProcessing"},
                                    {"single", single},
                                    {"special_tokens", {{"<q>", {{"id", "<q>"}, {"ids", std::vector<int>(1000, 0)}}}}}};
       },
       "more than 1024 tokens"},
      {"template of 2000 items",
       [](Json& j) {
         Json single = Json::array();
         for (int i = 0; i < 2000; ++i) single.push_back(Json{{"Sequence", {{"id", "A"}}}});
         j["post_processor"] = Json{{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", {}}};
       },
       "more than 1024 tokens"},
      {"1000 post-processors",
       [](Json& j) {
         j["post_processor"] =
             many("processors", Json{{"type", "BertProcessing"}, {"sep", {"x", 1}}, {"cls", {"y", 1}}}, 1000);
       },
       "more than 1024 tokens"},
      {"template without special_tokens",
       [](Json& j) {
         j["post_processor"] = Json{{"type", "TemplateProcessing"},
                                    {"single", Json::array({Json{{"SpecialToken", {{"id", "<q>"}, {"type_id", 0}}}}})}};
       },
       "not in its special_tokens"},
      {"template token without ids",
       [](Json& j) {
         j["post_processor"] = Json{{"type", "TemplateProcessing"},
                                    {"single", Json::array({Json{{"SpecialToken", {{"id", "<q>"}, {"type_id", 0}}}}})},
                                    {"special_tokens", {{"<q>", {{"id", "<q>"}}}}}};
       },
       "\"ids\" is missing"},
      {"template id negative",
       [](Json& j) {
         j["post_processor"] = Json{{"type", "TemplateProcessing"},
                                    {"single", Json::array({Json{{"SpecialToken", {{"id", "<q>"}, {"type_id", 0}}}}})},
                                    {"special_tokens", {{"<q>", {{"id", "<q>"}, {"ids", {-1}}}}}}};
       },
       "id -1 is outside"},
      {"sep is only a name",
       [](Json& j) {
         j["post_processor"] = Json{{"type", "RobertaProcessing"}, {"sep", {"x"}}, {"cls", {"y", 1}}};
       },
       "a token and its id"},
      {"added token too long to search",
       [](Json& j) { j["added_tokens"].push_back(added(1401, long_text(300).c_str())); }, "has 300 bytes"},
      {"added token that its normalizer blows up",
       [](Json& j) {
         j["normalizer"] =
             Json{{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(500, 'b')}};
         Json token = added(1401, long_text(200).c_str());
         token["normalized"] = true;
         j["added_tokens"].push_back(token);
       },
       "normalizing makes more than"},
      {"pattern too long to search",
       [](Json& j) {
         j["pre_tokenizer"] =
             Json{{"type", "Split"}, {"pattern", {{"String", long_text(300)}}}, {"behavior", "Isolated"}};
       },
       "300 bytes is too long"},
      {"delimiter too long to search",
       [](Json& j) {
         j["pre_tokenizer"] = Json{{"type", "CharDelimiterSplit"}, {"delimiter", long_text(300)}};
       },
       "300 bytes is too long"},
      {"Metaspace of four blanks",
       [](Json& j) {
         j["pre_tokenizer"] = Json{{"type", "Metaspace"}, {"replacement", "    "}};
       },
       "one character"},
      {"decoder Strip of nothing",
       [](Json& j) {
         j["decoder"] = Json{{"type", "Strip"}, {"content", ""}, {"start", 1}, {"stop", 0}};
       },
       "empty"},
      {"unigram piece too long to search",
       [](Json& j) {
         j["model"]["vocab"].push_back(Json::array({long_text(300), -1.0}));
       },
       "has 300 bytes", "unigram"},
      {"word piece too long to search", [](Json& j) { j["model"]["vocab"][long_text(300)] = 900; }, "has 300 bytes",
       "words"},
      {"unigram vocabulary as an object",
       [](Json& j) {
         j["model"]["vocab"] = Json{{"a", 1}};
       },
       "must be an array", "unigram"},
      {"unigram entry without a score", [](Json& j) { j["model"]["vocab"].push_back(Json::array({"x"})); },
       "a piece and its score", "unigram"},
      {"unigram score is text",
       [](Json& j) {
         j["model"]["vocab"].push_back(Json::array({"x", "y"}));
       },
       "a piece and its score", "unigram"},
      {"unk_id outside", [](Json& j) { j["model"]["unk_id"] = 100000; }, "unk_id", "unigram"},
      {"unk_id negative", [](Json& j) { j["model"]["unk_id"] = -1; }, "unk_id", "unigram"},
      {"unigram behind ByteLevel",
       [](Json& j) {
         j["pre_tokenizer"] = Json{{"type", "ByteLevel"}};
       },
       "ByteLevel", "unigram"},
      {"word piece without unk_token", [](Json& j) { j["model"].erase("unk_token"); }, "unk_token", "words"},
      {"word piece with a negative limit", [](Json& j) { j["model"]["max_input_chars_per_word"] = -1; }, "negative",
       "words"},
      {"word piece behind ByteLevel",
       [](Json& j) {
         j["pre_tokenizer"] = Json{{"type", "ByteLevel"}};
       },
       "ByteLevel", "words"},
  };
  return table;
}

TEST(BadTokenizerJson, EachIsAnErrorThatSaysWhy) {
  ASSERT_GE(bad_json().size(), 40u);
  for (const BadJson& bad : bad_json()) {
    Json document = test::golden_json(std::string("base_") + bad.base + ".json");
    ASSERT_TRUE(Tokenizer::from_json(dump_json(document), "", "good").ok()) << bad.name;
    bad.spoil(document);
    const auto made = Tokenizer::from_json(dump_json(document), "", "bad.json");
    ASSERT_FALSE(made.ok()) << bad.name;
    EXPECT_NE(made.error().str().find(bad.says), std::string::npos) << bad.name << ": " << made.error().str();
    EXPECT_EQ(made.error().str().find("bad.json"), 0u) << made.error().str();
    EXPECT_EQ(made.error().message.find('\n'), std::string::npos);
  }
}

TEST(BadTokenizerJson, NotJson) {
  for (const std::string text :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string("{\"model\":"),
        std::string("\xFF\xFE"), std::string("{\"a\":\"\\ud800\"}"), std::string(100'000, '['),
        std::string("{\"model\":{\"vocab\":{\"\xC3\":1}}}")}) {
    EXPECT_FALSE(Tokenizer::from_json(text, "", "t").ok()) << text.substr(0, 40);
  }
}

TEST(BadTokenizerJson, EveryTruncationIsAnError) {
  const std::string text = dump_json(test::golden_json("base_words.json"));
  for (size_t size = 0; size < text.size(); size += 97)
    EXPECT_FALSE(Tokenizer::from_json(text.substr(0, size), "", "t").ok());
}

// A JSON reader keeps the first or the last of two equal keys; ids that depend on that are refused.
TEST(BadTokenizerJson, RepeatedPieces) {
  const std::string text = dump_json(test::golden_json("base_bytes.json"));
  const size_t at = text.find("\"vocab\":{") + 9;
  for (const char* entry : {"\"the\":1400,\"the\":1401,", "\"the\":1400,\"the\":1400,"}) {
    const auto made = Tokenizer::from_json(std::string(text).insert(at, entry), "", "twice.json");
    ASSERT_FALSE(made.ok()) << entry;
    EXPECT_NE(made.error().str().find("\"the\""), std::string::npos) << made.error().str();
  }
}

// What a file may say about its special tokens without harm.
TEST(BadTokenizerJson, OddSpecialTokensAreHandled) {
  Json document = test::golden_json("base_bytes.json");
  // The same content again has the id of the first, as in the reference; ids may have holes.
  document["added_tokens"].push_back(added(0, "<|end|>"));
  document["added_tokens"].push_back(added(1450, "<x>"));
  document["added_tokens"].push_back(added(1470, "<x>"));
  // Only "single" is used.
  document["post_processor"] = Json{{"type", "TemplateProcessing"},
                                    {"single", Json::array({Json{{"SpecialToken", {{"id", "<x>"}, {"type_id", 0}}}},
                                                            Json{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})},
                                    {"pair", 7},
                                    {"special_tokens", {{"<x>", {{"id", "<x>"}, {"ids", {1450}}}}}}};
  // A name that no token has names none.
  const auto made = Tokenizer::from_json(
      dump_json(document), R"({"bos_token": "<none>", "eos_token": null, "pad_token": {"content": "<x>"}})", "odd");
  ASSERT_TRUE(made.ok()) << made.error().str();
  EXPECT_EQ(made->vocab_size(), 1451);
  EXPECT_EQ(*made->encode("<x>"), (std::vector<int32_t>{1450, 1450}));
  EXPECT_EQ(made->id_to_piece(1420), "");
  EXPECT_EQ(made->decode(std::vector<int32_t>{1420, 1450}, false), "<x>");
  EXPECT_EQ(made->bos_id(), std::nullopt);
  EXPECT_EQ(made->eos_id(), std::nullopt);
  EXPECT_EQ(made->pad_id(), 1450);
}

TEST(BadTokenizerJson, BadConfigs) {
  const std::string json = dump_json(test::golden_json("base_bytes.json"));
  for (const char* config :
       {"[", "[]", R"({"bos_token": 7})", R"({"added_tokens_decoder": {"x": {"content": "q"}}})",
        R"({"added_tokens_decoder": {"99999999999999999999": {"content": "q"}}})",
        R"({"added_tokens_decoder": {"5": {}}})", R"({"added_tokens_decoder": {"5": {"content": "<q>"}}})"}) {
    EXPECT_FALSE(Tokenizer::from_json(json, config, "t").ok()) << config;
  }
}

struct BadGguf {
  const char* name;
  std::function<void(test::GgufVocab&)> spoil;
  const char* says;
};

const std::vector<BadGguf>& bad_gguf() {
  static const std::vector<BadGguf> table = {
      {"unknown model", [](auto& v) { v.model = "rwkv9"; }, "rwkv9"},
      {"unknown pre-tokenizer", [](auto& v) { v.pre = "klingon"; }, "klingon"},
      {"no tokens",
       [](auto& v) {
         v.tokens.clear();
         v.types.clear();
       },
       "empty"},
      {"token is not UTF-8", [](auto& v) { v.tokens[5] = "\xFF"; }, "not valid UTF-8"},
      {"token of 100 kB", [](auto& v) { v.tokens[5].assign(100'000, 'x'); }, "bytes"},
      {"too few types", [](auto& v) { v.types.pop_back(); }, "types for"},
      {"too many types", [](auto& v) { v.types.push_back(1); }, "types for"},
      {"too few scores",
       [](auto& v) {
         v.scores = {1, 2, 3};
       },
       "scores for"},
      {"no merges", [](auto& v) { v.merges.clear(); }, "merges"},
      {"merge without a blank", [](auto& v) { v.merges.push_back("ab"); }, "two pieces"},
      {"merge that ends in a blank", [](auto& v) { v.merges.push_back("ab "); }, "two pieces"},
      {"empty merge", [](auto& v) { v.merges.push_back(""); }, "two pieces"},
      {"merge of strangers", [](auto& v) { v.merges.push_back("\u4e00 \u4e8c"); }, "a part is not"},
      {"merge into nothing", [](auto& v) { v.merges.push_back("Z Z"); }, "the whole is not"},
      {"merge listed twice", [](auto& v) { v.merges.push_back(v.merges[0]); }, "listed twice"},
      {"llama without scores", [](auto& v) { v.model = "llama"; }, "scores"},
      {"t5 without scores", [](auto& v) { v.model = "t5"; }, "scores"},
      {"control token too long to search",
       [](auto& v) {
         v.tokens[0].assign(300, 'x');
         v.types[0] = 3;
       },
       "has 300 bytes"},
      {"t5 piece too long to search",
       [](auto& v) {
         v.model = "t5";
         v.scores.assign(v.tokens.size(), -1);
         v.tokens[5].assign(300, 'x');
       },
       "has 300 bytes"},
      {"bert without unknown",
       [](auto& v) {
         v.model = "bert";
         v.tokens.resize(50);
         v.types.resize(50);
       },
       "unknown_token_id"},
      {"t5 with infinite scores",
       [](auto& v) {
         v.model = "t5";
         v.scores.assign(v.tokens.size(), std::numeric_limits<double>::infinity());
       },
       "not finite"},
  };
  return table;
}

TEST(BadTokenizerGguf, EachIsAnErrorThatSaysWhy) {
  const test::GgufVocab good = test::gguf_of(test::golden_json("base_bytes.json"));
  ASSERT_TRUE(Tokenizer::from_gguf(good.meta()).ok());
  for (const BadGguf& bad : bad_gguf()) {
    test::GgufVocab vocab = good;
    bad.spoil(vocab);
    const auto made = Tokenizer::from_gguf(vocab.meta());
    ASSERT_FALSE(made.ok()) << bad.name;
    EXPECT_NE(made.error().str().find(bad.says), std::string::npos) << bad.name << ": " << made.error().str();
    EXPECT_EQ(made.error().where.find("test.gguf"), 0u) << made.error().str();
  }
}

TEST(BadTokenizerGguf, SpecialIdsOutsideTheVocabulary) {
  const test::GgufVocab good = test::gguf_of(test::golden_json("base_bytes.json"));
  const auto size = static_cast<int64_t>(good.tokens.size());
  for (const char* name : {"bos_token_id", "eos_token_id", "unknown_token_id", "padding_token_id", "seperator_token_id",
                           "cls_token_id", "mask_token_id"}) {
    for (int64_t id : {size, int64_t{-2}, int64_t{1} << 40}) {
      KeyValues kv = good.meta();
      kv.set(std::string("tokenizer.ggml.") + name, id);
      EXPECT_FALSE(Tokenizer::from_gguf(kv).ok()) << name << " " << id;
    }
    KeyValues none = good.meta();
    none.set(std::string("tokenizer.ggml.") + name, int64_t{-1});  // how converters write "none"
    EXPECT_TRUE(Tokenizer::from_gguf(none).ok()) << name;
    KeyValues text = good.meta();
    text.set(std::string("tokenizer.ggml.") + name, std::string_view("5"));
    EXPECT_FALSE(Tokenizer::from_gguf(text).ok()) << name;
  }
}

TEST(BadTokenizerGguf, ByteTokensAreSpelledExactly) {
  for (const char* spelled : {"<0x-1>", "<0xZZ>", "<0x1>", "<0x100>", "0x41", "<0xab>", "<0x 1>", ""}) {
    test::GgufVocab v;
    v.model = "llama";
    v.tokens = {"<unk>", "<s>", "</s>", spelled, "a"};
    v.types = {2, 3, 3, 6, 1};
    v.scores = {0, 0, 0, 0, -1};
    EXPECT_FALSE(Tokenizer::from_gguf(v.meta()).ok()) << spelled;
  }
}

TEST(BadTokenizerGguf, Charsmaps) {
  test::GgufVocab v;
  v.model = "t5";
  v.tokens = {"<pad>", "</s>", "<unk>", "a"};
  v.types = {3, 3, 2, 1};
  v.scores = {0, 0, 0, -1};
  ASSERT_TRUE(Tokenizer::from_gguf(v.meta()).ok());
  for (const KeyValues::Ints& blob :
       {KeyValues::Ints{1, 2, 3}, KeyValues::Ints{255, 255, 255, 127, 0}, KeyValues::Ints{3, 0, 0, 0, 1, 2, 3},
        KeyValues::Ints{0, 0, 0, 0}, KeyValues::Ints{4, 0, 0, 0, 0, 0, 0, 0, 300},
        KeyValues::Ints{4, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFE}}) {
    KeyValues kv = v.meta();
    kv.set("tokenizer.ggml.precompiled_charsmap", blob);
    EXPECT_FALSE(Tokenizer::from_gguf(kv).ok());
  }
  // Offsets that leave the trie are harmless: the map then has no entry.
  KeyValues kv = v.meta();
  kv.set("tokenizer.ggml.precompiled_charsmap", KeyValues::Ints{4, 0, 0, 0, 255, 255, 255, 127, 0x41, 0});
  auto wild = Tokenizer::from_gguf(kv);
  ASSERT_TRUE(wild.ok());
  EXPECT_EQ(wild->encode("a", {.add_special = false})->size(), 2u);
}

}  // namespace
}  // namespace miao::prep
