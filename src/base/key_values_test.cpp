// KeyValues: typed lookups, their Errors, and JSON objects flattened to dotted keys.
#include "base/key_values.h"

#include <gtest/gtest.h>

namespace miao {
namespace {

KeyValues sample() {
  auto kv = KeyValues::from_json(
      R"({"n":3,"whole":4.0,"half":2.5,"yes":true,"text":"abc","none":null,"big":18446744073709551615,
    "rope":{"scaling":{"factor":8.0},"type":"yarn"},"bigs":[1,18446744073709551615],"ints":[1,2],"floats":[1,2.5],"words":["a","b"],"flags":[true,false],
    "mixed":[1,"a"],"objects":[{"a":1}],"empty":[],"nested":[[1],[2]]})",
      "config.json");
  EXPECT_TRUE(kv.ok());
  return *kv;
}

TEST(KeyValues, LooksUpWithTypes) {
  const KeyValues kv = sample();
  EXPECT_EQ(*kv.integer("n"), 3);
  EXPECT_EQ(*kv.number("n"), 3.0);
  EXPECT_EQ(*kv.integer("whole"), 4);
  EXPECT_EQ(*kv.number("half"), 2.5);
  EXPECT_EQ(*kv.boolean("yes"), true);
  EXPECT_EQ(*kv.string("text"), "abc");
  EXPECT_EQ(*kv.number("rope.scaling.factor"), 8.0);
  EXPECT_EQ(*kv.string("rope.type"), "yarn");
  EXPECT_EQ(**kv.integers("ints"), (KeyValues::Ints{1, 2}));
  EXPECT_EQ(*kv.numbers("ints"), (KeyValues::Floats{1, 2}));
  EXPECT_EQ(*kv.numbers("floats"), (KeyValues::Floats{1, 2.5}));
  EXPECT_EQ(**kv.strings("words"), (KeyValues::Strings{"a", "b"}));
  EXPECT_EQ(**kv.integers("flags"), (KeyValues::Ints{1, 0}));
  EXPECT_EQ(*kv.string("mixed"), R"([1,"a"])");
  EXPECT_EQ(*kv.string("objects"), R"([{"a":1}])");
  EXPECT_EQ(*kv.string("nested"), "[[1],[2]]");
  EXPECT_EQ(*kv.number("big"), 18446744073709551615.0);
  EXPECT_EQ(*kv.numbers("bigs"), (KeyValues::Floats{1, 18446744073709551615.0}));
  EXPECT_FALSE(kv.has("none"));
  EXPECT_EQ(kv.find("rope"), nullptr);
  EXPECT_EQ(kv.source(), "config.json");
}

TEST(KeyValues, AbsentAndMistypedKeysAreErrorsThatNameThem) {
  const KeyValues kv = sample();
  auto check = [](const Error& e, Code code, const char* key) {
    EXPECT_EQ(e.code, code);
    EXPECT_NE(e.str().find(std::string("config.json: key '") + key + "'"), std::string::npos) << e.str();
  };
  check(kv.integer("absent").error(), Code::not_found, "absent");
  check(kv.number("absent").error(), Code::not_found, "absent");
  check(kv.boolean("absent").error(), Code::not_found, "absent");
  check(kv.string("absent").error(), Code::not_found, "absent");
  check(kv.integers("absent").error(), Code::not_found, "absent");
  check(kv.numbers("absent").error(), Code::not_found, "absent");
  check(kv.strings("absent").error(), Code::not_found, "absent");
  for (const char* key : {"half", "yes", "text", "ints", "big"}) check(kv.integer(key).error(), Code::invalid, key);
  for (const char* key : {"yes", "text", "floats"}) check(kv.number(key).error(), Code::invalid, key);
  for (const char* key : {"n", "text", "flags"}) check(kv.boolean(key).error(), Code::invalid, key);
  for (const char* key : {"n", "yes", "words"}) check(kv.string(key).error(), Code::invalid, key);
  for (const char* key : {"n", "floats", "words"}) check(kv.integers(key).error(), Code::invalid, key);
  for (const char* key : {"n", "words"}) check(kv.numbers(key).error(), Code::invalid, key);
  for (const char* key : {"text", "ints"}) check(kv.strings(key).error(), Code::invalid, key);
}

TEST(KeyValues, FallbacksStandForAbsentKeysOnly) {
  const KeyValues kv = sample();
  EXPECT_EQ(*kv.integer("absent", 7), 7);
  EXPECT_EQ(*kv.integer("none", 7), 7);
  EXPECT_EQ(*kv.integer("n", 7), 3);
  EXPECT_EQ(*kv.number("absent", 0.5), 0.5);
  EXPECT_EQ(*kv.boolean("absent", true), true);
  EXPECT_EQ(*kv.string("absent", "d"), "d");
  EXPECT_FALSE(kv.integer("text", 7).ok());
  EXPECT_FALSE(kv.number("text", 7).ok());
  EXPECT_FALSE(kv.boolean("text", false).ok());
  EXPECT_FALSE(kv.string("n", "d").ok());
}

// A value that is an object was not left out: no default stands for it.
TEST(KeyValues, ObjectsAreOfAnotherType) {
  for (const char* text : {R"({"n":{}})", R"({"n":{"a":1}})", R"({"n":{"a":{}}})"}) {
    const auto kv = KeyValues::from_json(text, "c");
    ASSERT_TRUE(kv.ok());
    EXPECT_TRUE(kv->has("n"));
    EXPECT_EQ(kv->integer("n").error().code, Code::invalid) << text;
    EXPECT_EQ(kv->integer("n", 3).error().message, "key 'n' is not an integer") << text;
    EXPECT_FALSE(kv->number("n", 3).ok()) << text;
    EXPECT_FALSE(kv->boolean("n", true).ok()) << text;
    EXPECT_EQ(kv->string("n", "").error().message, "key 'n' is not a string") << text;
    EXPECT_EQ(kv->strings("n").error().code, Code::invalid) << text;
  }
}

TEST(KeyValues, AKeyIsSetOnce) {
  KeyValues kv("m");
  EXPECT_TRUE(kv.set("a", int64_t{1}));
  EXPECT_FALSE(kv.set("a", 2.0));
  EXPECT_EQ(*kv.integer("a"), 1);
  EXPECT_EQ(kv.size(), 1u);
}

TEST(KeyValues, CopiesKeepTheirStrings) {
  KeyValues copy;
  {
    KeyValues kv;
    kv.set("a", kv.intern(std::string(100, 'x')));
    copy = kv;
  }
  EXPECT_EQ(*copy.string("a"), std::string(100, 'x'));
}

TEST(KeyValues, BadJsonObjectsAreErrors) {
  for (const char* text :
       {"", "[]", "1", "null", "{", R"({"a":1,"a":2})", R"({"a":{"b":1,"b":2}})", R"({"a":{"b":1},"a.b":2})"}) {
    auto kv = KeyValues::from_json(text, "config.json");
    ASSERT_FALSE(kv.ok()) << text;
    EXPECT_EQ(kv.error().where.rfind("config.json", 0), 0u);
  }
  EXPECT_FALSE(KeyValues::from_json("{\"a\":" + std::string(100000, '['), "c").ok());
  EXPECT_EQ(KeyValues::from_json("{}", "c")->size(), 0u);
}

// A key repeats the names around it: 0.2 MB of text that would flatten to 120 MB of keys, or to as many bytes that are
// only built and thrown away.
TEST(KeyValues, TheBytesOfAllKeysAreBounded) {
  for (const char* leaf : {"1", "{}", "null"}) {
    std::string text, tail;
    for (int level = 0; level < 60; ++level) {
      text += "{\"" + std::string(2000, 'k') + "\":";
      tail += '}';
    }
    text += "{\"0\":1";
    for (int i = 1; i < 1000; ++i) text += ",\"" + std::to_string(i) + "\":" + leaf;
    const auto kv = KeyValues::from_json(text + "}" + tail, "config.json");
    ASSERT_FALSE(kv.ok()) << leaf;
    EXPECT_EQ(kv.error().code, Code::invalid);
    EXPECT_NE(kv.error().str().find("config.json: holds too many or too long keys"), std::string::npos)
        << kv.error().str();
  }
}

TEST(KeyValues, TheNumberOfKeysAndTheTextAreBounded) {
  std::string text = "{\"a\":0";
  for (int i = 0; i < 1 << 17; ++i) text += ",\"" + std::to_string(i) + "\":0";
  EXPECT_NE(KeyValues::from_json(text + "}", "c").error().message.find("at most 131072"), std::string::npos);
  const auto large = KeyValues::from_json("{\"a\":\"" + std::string(4 << 20, 'x') + "\"}", "c");
  ASSERT_FALSE(large.ok());
  EXPECT_NE(large.error().message.find("limit of 4 MiB"), std::string::npos);
}

}  // namespace
}  // namespace miao
