// Whisper's control tokens in the vocabularies of its versions.
#include "prep/whisper_tokens.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace miao::prep {
namespace {

using Ids = std::vector<int32_t>;

// A tokenizer with the ids of Whisper's: `eot`, then the others in their order.
Tokenizer whisper(int32_t eot, size_t languages, bool timestamps, const char* no_speech = "<|nospeech|>") {
  std::vector<std::string> names = {"<|endoftext|>", "<|startoftranscript|>"};
  for (const WhisperLanguage& l : WhisperTokens::all_languages().first(languages))
    names.push_back("<|" + std::string(l.code) + "|>");
  for (const char* name : {"<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", no_speech})
    names.emplace_back(name);
  names.emplace_back("<|notimestamps|>");
  if (timestamps) names.emplace_back("<|0.00|>");
  Json added = Json::array();
  for (size_t i = 0; i < names.size(); ++i)
    added.push_back({{"id", eot + static_cast<int32_t>(i)}, {"content", names[i]}, {"special", true}});
  const Json json = {{"added_tokens", added},
                     {"pre_tokenizer", {{"type", "Whitespace"}}},
                     {"model", {{"type", "WordPiece"}, {"unk_token", "u"}, {"vocab", {{"u", 0}}}}}};
  auto made = Tokenizer::from_json(dump_json(json), "", "whisper");
  EXPECT_TRUE(made.ok()) << made.error().str();
  return *made;
}

TEST(WhisperTokens, Multilingual) {
  const auto t = *WhisperTokens::find(whisper(50257, 99, false));
  EXPECT_TRUE(t.multilingual());
  EXPECT_EQ(t.eot(), 50257);
  EXPECT_EQ(t.sot(), 50258);
  EXPECT_EQ(t.translate(), 50358);
  EXPECT_EQ(t.transcribe(), 50359);
  EXPECT_EQ(t.sot_lm(), std::optional(50360));
  EXPECT_EQ(t.sot_prev(), std::optional(50361));
  EXPECT_EQ(t.no_speech(), std::optional(50362));
  EXPECT_EQ(t.no_timestamps(), 50363);
  EXPECT_EQ(t.first_timestamp(), 50364);  // not in the tokenizer's file
  EXPECT_EQ(t.last_timestamp(), 51864);
  EXPECT_EQ(t.languages().size(), 99u);
  EXPECT_EQ(*t.language_id("en"), 50259);
  EXPECT_EQ(*t.language_id("French"), 50265);
  EXPECT_EQ(t.language(50265)->name, "french");
  EXPECT_EQ(t.language(50358), nullptr);
  EXPECT_EQ(*t.build_prompt("fr", WhisperTask::transcribe, true), (Ids{50258, 50265, 50359}));
  EXPECT_EQ(*t.build_prompt("de", WhisperTask::translate, false), (Ids{50258, 50261, 50358, 50363}));
  EXPECT_FALSE(t.build_prompt("", WhisperTask::transcribe, true).ok());
  EXPECT_NE(t.build_prompt("klingon", WhisperTask::transcribe, true).error().message.find("klingon"),
            std::string::npos);
  EXPECT_NE(t.language_id("yue").error().message.find("cantonese"), std::string::npos);
}

TEST(WhisperTokens, LargeV3HasOneLanguageMore) {
  const auto t = *WhisperTokens::find(whisper(50257, 100, true, "<|nocaptions|>"));
  EXPECT_EQ(t.languages().size(), 100u);
  EXPECT_EQ(*t.language_id("yue"), 50358);
  EXPECT_EQ(t.transcribe(), 50360);
  EXPECT_EQ(t.no_speech(), std::optional(50363));
  EXPECT_EQ(t.first_timestamp(), 50365);
}

TEST(WhisperTokens, EnglishOnly) {
  const auto t = *WhisperTokens::find(whisper(50256, 99, false));
  EXPECT_FALSE(t.multilingual());
  EXPECT_EQ(t.first_timestamp(), 50363);
  EXPECT_EQ(*t.build_prompt("", WhisperTask::transcribe, false), (Ids{50257, 50362}));
  EXPECT_EQ(*t.build_prompt("english", WhisperTask::transcribe, true), (Ids{50257}));
  EXPECT_FALSE(t.build_prompt("fr", WhisperTask::transcribe, true).ok());
  EXPECT_FALSE(t.build_prompt("", WhisperTask::translate, true).ok());
}

TEST(WhisperTokens, Timestamps) {
  const auto t = *WhisperTokens::find(whisper(50257, 99, true));
  EXPECT_EQ(t.timestamp(0), 50364);
  EXPECT_EQ(t.timestamp(1.0), 50414);
  EXPECT_EQ(t.timestamp(0.029), 50365);
  EXPECT_EQ(t.timestamp(30), 51864);
  EXPECT_EQ(t.timestamp(99), 51864);
  EXPECT_EQ(t.timestamp(-1), 50364);
  for (int32_t id = t.first_timestamp(); id <= t.last_timestamp(); ++id) EXPECT_EQ(t.timestamp(t.seconds(id)), id);
  EXPECT_TRUE(t.is_timestamp(51864));
  EXPECT_FALSE(t.is_timestamp(51865));
  EXPECT_FALSE(t.is_timestamp(50363));
}

TEST(WhisperTokens, OtherTokenizersHaveNone) {
  auto other = Tokenizer::from_json(
      R"({"added_tokens":[],"model":{"type":"WordPiece","unk_token":"u","vocab":{"u":0}}})", "", "other");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(WhisperTokens::find(*other).error().code, Code::not_found);
}

}  // namespace
}  // namespace miao::prep
