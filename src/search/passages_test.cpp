#include "search/passages.h"

#include <gtest/gtest.h>

#include <random>

namespace miao::search {
namespace {

// A token is a word of up to four letters; longer ones have one for each four.
Result<int64_t> count(std::string_view text) {
  int64_t tokens = 0, letters = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n') {
      letters = 0;
    } else if (letters++ % 4 == 0) {
      ++tokens;
    }
  }
  return tokens;
}

std::string shown(std::string_view text, int64_t limit, int64_t overlap) {
  const auto parts = split_text(text, limit, overlap, count);
  EXPECT_TRUE(parts.ok());
  std::string out;
  for (const Part& p : *parts) out += std::string(text.substr(p.begin, p.end - p.begin)) + "|";
  return out;
}

TEST(Passages, WhatFitsIsOnePart) {
  EXPECT_EQ(shown("  a b. c d.\n", 4, 0), "a b. c d.|");
  EXPECT_EQ(shown(" \n ", 4, 0), "");
  EXPECT_EQ(shown("", 4, 0), "");
}

TEST(Passages, SentencesStayWhole) {
  EXPECT_EQ(shown("One two. Is it? \"Yes.\" (No way!) So on and on.", 4, 0),
            "One two. Is it?|\"Yes.\"|(No way!)|So on and on.|");
  EXPECT_EQ(shown("v1.2 is out. It is so.", 4, 0), "v1.2 is out.|It is so.|");
  EXPECT_EQ(shown("\xe5\xa5\xbd\xe3\x80\x82\xe5\x90\x97\xef\xbc\x9f", 2, 0),
            "\xe5\xa5\xbd\xe3\x80\x82|\xe5\x90\x97\xef\xbc\x9f|");
}

TEST(Passages, EachRepeatsTheEndOfTheOneBefore) {
  EXPECT_EQ(shown("A a. B b. C c. D d. E e.", 6, 2), "A a. B b. C c.|C c. D d. E e.|");
  EXPECT_EQ(shown("A a. B b. C c c c c.", 5, 2), "A a. B b.|C c c c c.|");  // no room for what would be repeated
}

TEST(Passages, LongSentencesAreSplitAtLinesThenWordsThenAnywhere) {
  EXPECT_EQ(shown("a b c d\ne f g h\ni", 4, 0), "a b c d|e f g h|i|");
  EXPECT_EQ(shown("a b c d e f", 4, 0), "a b c d|e f|");
  EXPECT_EQ(shown("abcdabcdabcdabcdabcdabcd", 4, 0), "abcdabcdabcdabcd|abcdabcd|");
  const std::string wide = "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80";
  EXPECT_EQ(shown(wide, 1, 0), "\xf0\x9f\x98\x80|\xf0\x9f\x98\x80|\xf0\x9f\x98\x80|");
}

TEST(Passages, NoWordIsLostAndNonePassesTheLimit) {
  std::mt19937 random(3);
  const char* const pieces[] = {"a",    "abcd", " ", " ", "\n", "\n\n", ". ", "? ", "\xe3\x80\x82", "abcdefghijklmnop",
                                "\xff", "\""};
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (unsigned n = random() % 200; n > 0; --n) text += pieces[random() % std::size(pieces)];
    const int64_t limit = 4 + random() % 20, overlap = random() % 4;
    const auto parts = split_text(text, limit, overlap, count);
    ASSERT_TRUE(parts.ok());
    size_t covered = 0;
    for (const Part& p : *parts) {
      ASSERT_LT(p.begin, p.end);
      for (size_t at = covered; at < p.begin; ++at) ASSERT_TRUE(text[at] == ' ' || text[at] == '\n') << text;
      ASSERT_GT(p.end, covered);
      covered = p.end;
      EXPECT_LE(*count(std::string_view(text).substr(p.begin, p.end - p.begin)), limit);
    }
    for (size_t at = covered; at < text.size(); ++at) ASSERT_TRUE(text[at] == ' ' || text[at] == '\n') << text;
  }
}

TEST(Passages, TakesTimeLinearInTheText) {
  const std::string blob(1 << 20, '"'), words = [] {
    std::string out;
    while (out.size() < 1 << 20) out += "ab \"\"\"\" ";
    return out;
  }();
  for (const std::string& text : {blob, words}) {
    const auto parts = split_text(text, 64, 8, count);
    ASSERT_TRUE(parts.ok());
    EXPECT_GT(parts->size(), 1000u);
  }
}

TEST(Passages, ErrorsOfTheCounterComeBack) {
  const auto parts = split_text("abc def", 1, 0, [](std::string_view) -> Result<int64_t> {
    return Error{Code::invalid, "no", {}};
  });
  EXPECT_FALSE(parts.ok());
}

}  // namespace
}  // namespace miao::search
