// JSON in: depth, duplicate keys and bad text are Errors. JSON out: one line, always valid UTF-8.
#include "base/json.h"

#include <gtest/gtest.h>

#include <chrono>

namespace miao {
namespace {

TEST(Json, ParsesAndKeepsTheOrderOfKeys) {
  auto json = parse_json(R"( {"z":1,"a":[true,null,-2.5,"x\u00e9"],"m":{"n":{}}} )", "t.json");
  ASSERT_TRUE(json.ok()) << json.error().str();
  EXPECT_EQ(json->begin().key(), "z");
  EXPECT_EQ((*json)["a"][3], "x\xc3\xa9");
  EXPECT_EQ(dump_json(*json), "{\"z\":1,\"a\":[true,null,-2.5,\"x\xc3\xa9\"],\"m\":{\"n\":{}}}");
}

TEST(Json, BadTextIsAnErrorThatNamesTheFile) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "}",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{'a':1}",
                           "{\"a\"}",
                           "[1 2]",
                           "nul",
                           "01",
                           "+1",
                           "1.",
                           ".5",
                           "\"\\x\"",
                           "\"\\ud800\"",
                           "\"\xff\"",
                           "\"\xc0\xaf\"",
                           "\"\xed\xa0\x80\"",
                           "\"a\nb\"",
                           "{}{}",
                           "1e400",
                           "\"",
                           "[\"]",
                           "// c\n1",
                           "NaN"}) {
    auto json = parse_json(text, "t.json");
    ASSERT_FALSE(json.ok()) << text;
    EXPECT_EQ(json.error().code, Code::corrupt);
    EXPECT_EQ(json.error().where, "t.json");
  }
}

TEST(Json, DepthIsCountedBeforeParsing) {
  auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_TRUE(parse_json(nested(64), "t").ok());
  EXPECT_FALSE(parse_json(nested(65), "t").ok());
  EXPECT_TRUE(parse_json(nested(3), "t", 3).ok());
  EXPECT_FALSE(parse_json(nested(4), "t", 3).ok());
  const std::string deep(1000000, '[');
  auto json = parse_json(deep, "t");
  ASSERT_FALSE(json.ok());
  EXPECT_NE(json.error().message.find("64 levels"), std::string::npos);
  EXPECT_FALSE(parse_json("{\"a\":" + deep, "t").ok());
  EXPECT_TRUE(parse_json("\"" + deep + "\"", "t").ok());        // brackets within text do not count
  EXPECT_TRUE(parse_json("[\"\\\"" + deep + "\"]", "t").ok());  // nor after an escaped quote
}

TEST(Json, DuplicateKeysAreErrors) {
  for (const char* text :
       {R"({"a":1,"a":1})", R"({"a":1,"\u0061":2})", R"({"o":{"k":1,"x":2,"k":3}})", R"([{"a":1},{"b":{},"b":[]}])"}) {
    auto json = parse_json(text, "t.json");
    ASSERT_FALSE(json.ok()) << text;
    EXPECT_NE(json.error().message.find("appears twice"), std::string::npos) << text;
  }
  EXPECT_TRUE(parse_json(R"({"a":{"a":1},"b":{"a":[{"a":1},{"a":2}]}})", "t").ok());
}

TEST(Json, ManyKeysTakeLinearTime) {
  std::string text = "{\"first\":[0]";
  for (int i = 0; i < 200000; ++i) text += ",\"" + std::to_string(i) + "\":0";
  const auto start = std::chrono::steady_clock::now();
  auto json = parse_json(text + "}", "t");
  ASSERT_TRUE(json.ok()) << json.error().str();
  EXPECT_EQ(json->size(), 200001u);
  EXPECT_EQ(json->back(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));  // a quadratic parser takes a minute
  json = parse_json(text + ",\"first\":1}", "t");
  ASSERT_FALSE(json.ok());
  EXPECT_NE(json.error().message.find("'first' appears twice"), std::string::npos);
}

TEST(Json, ValuesAreCounted) {
  std::string text = "[0";
  for (int i = 0; i < 1 << 22; ++i) text += ",0";
  const auto json = parse_json(text + "]", "t.json");
  ASSERT_FALSE(json.ok());
  EXPECT_NE(json.error().str().find("t.json: JSON of more than 4194304 values"), std::string::npos)
      << json.error().str();
}

TEST(Json, OutputIsValidUtf8OnOneLine) {
  EXPECT_EQ(dump_json(Json(std::string("a\xff\nb"))), "\"a\xef\xbf\xbd\\nb\"");
  EXPECT_EQ(dump_json(Json::parse("[1,{\"a\":2}]"), 1), "[\n 1,\n {\n  \"a\": 2\n }\n]");
}

}  // namespace
}  // namespace miao
