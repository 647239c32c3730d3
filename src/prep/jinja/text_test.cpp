// Runs of provenance, linear search and case mapping, below the level of templates.
#include "prep/jinja/text.h"

#include <gtest/gtest.h>

#include <random>

#include "prep/jinja/search.h"
#include "prep/jinja/text_ops.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {
namespace {

std::string marked(const Text& text) {
  std::string out;
  text.each_run(0, text.size(), [&](std::string_view bytes, bool trusted) {
    out += trusted ? std::string(bytes) : "[" + std::string(bytes) + "]";
  });
  return out;
}

TEST(JinjaText, RunsMergeAndSplit) {
  Text t("ab", true);
  t.append("cd", true);
  EXPECT_EQ(marked(t), "abcd");
  EXPECT_TRUE(t.trusted());
  t.append("ef", false);
  t.append("", true);
  t.append("gh", false);
  t.append("ij", true);
  EXPECT_EQ(marked(t), "abcd[efgh]ij");
  EXPECT_FALSE(t.trusted());
  EXPECT_EQ(marked(t.slice(3, 5)), "d[e]");
  EXPECT_EQ(marked(t.slice(4, 8)), "[efgh]");
  EXPECT_EQ(marked(t.slice(8, 10)), "ij");
  EXPECT_EQ(marked(t.slice(5, 5)), "");
  Text twice;
  twice.append_times(t.slice(3, 9), 2);
  EXPECT_EQ(marked(twice), "d[efgh]id[efgh]i");
}

// Every slice of a random text has the trust of its bytes.
TEST(JinjaText, SlicesKeepTrustByteByByte) {
  std::mt19937 random(7);
  Text text;
  std::string bytes;
  std::vector<bool> trust;
  for (int i = 0; i < 40; ++i) {
    const std::string piece(random() % 4, static_cast<char>('a' + i % 26));
    const bool trusted = random() % 2;
    text.append(piece, trusted);
    bytes += piece;
    trust.insert(trust.end(), piece.size(), trusted);
  }
  for (size_t begin = 0; begin <= bytes.size(); ++begin) {
    for (size_t end = begin; end <= bytes.size(); ++end) {
      const Text slice = text.slice(begin, end);
      ASSERT_EQ(slice.bytes(), bytes.substr(begin, end - begin));
      size_t at = begin;
      slice.each_run(0, slice.size(), [&](std::string_view run, bool trusted) {
        for (size_t i = 0; i < run.size(); ++i) EXPECT_EQ(trust[at++], trusted);
      });
      EXPECT_EQ(at, end);
    }
  }
}

TEST(JinjaText, SearchEqualsTheStandardLibrary) {
  std::mt19937 random(3);
  auto text_of = [&](size_t size) {
    std::string s;
    for (size_t i = 0; i < size; ++i) s += static_cast<char>('a' + random() % 2);
    return s;
  };
  for (int i = 0; i < 3000; ++i) {
    const std::string text = text_of(random() % 120);
    std::string needle = text_of(random() % 50);
    if (i % 2 && text.size() > 45) needle = text.substr(random() % 5, 34 + random() % 7);
    ASSERT_EQ(find_first(text, needle), text.find(needle)) << text << " " << needle;
    ASSERT_EQ(find_last(text, needle), text.rfind(needle)) << text << " " << needle;
    const size_t end = random() % (text.size() + 1);
    ASSERT_EQ(find_last(text, needle, end), std::string_view(text).substr(0, end).rfind(needle));
  }
}

TEST(JinjaText, CaseAndProperties) {
  const Text mixed("Stra\u00dfe \u00c4\u0130 \u03a3\u03a3 \ufb01", false);
  EXPECT_EQ(upper(mixed).bytes(), "STRASSE \u00c4\u0130 \u03a3\u03a3 FI");
  EXPECT_EQ(lower(mixed).bytes(), "stra\u00dfe \u00e4i\u0307 \u03c3\u03c2 \ufb01");
  EXPECT_EQ(capitalized(Text("\u00e4B", true)).bytes(), "\u00c4b");
  EXPECT_TRUE(is_space(0x3000) && is_space(0x1F) && !is_space(0x200B));
  EXPECT_TRUE(is_numeric(0xBD) && !is_decimal(0xBD) && is_decimal(0x661));
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80") || is_valid_utf8("\xc0\x80") || is_valid_utf8("\xf4\x90\x80\x80"));
  EXPECT_TRUE(is_valid_utf8(std::string_view("a\0\u00e9\U0001F600", 8)));
  EXPECT_EQ(clipped("a\n\u00e9\u00e9", 4), "a \u00e9");
}

}  // namespace
}  // namespace miao::prep::jinja
