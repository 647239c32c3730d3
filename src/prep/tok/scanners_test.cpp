// Scanners: what each expression matches, that stretches cover the text, and that odd texts cost linear time.
#include "prep/tok/scanners.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <vector>

namespace miao::prep {
namespace {

// The stretches of a text; gaps between matches in angle brackets.
std::vector<std::string> pieces(Scanner scanner, std::string_view text) {
  std::vector<std::string> out;
  const char* end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    const Stretch s = scanner(p, end);
    if (s.end <= p || s.end > end) {
      ADD_FAILURE() << "a stretch of " << s.end - p << " bytes";
      return out;
    }
    const std::string piece(p, s.end);
    out.push_back(s.match ? piece : "<" + piece + ">");
    p = s.end;
  }
  return out;
}

using Pieces = std::vector<std::string>;

TEST(Scanners, UnknownExpressionsAreNull) {
  EXPECT_EQ(find_scanner(""), nullptr);
  EXPECT_EQ(find_scanner("(a+)+"), nullptr);
  EXPECT_EQ(find_scanner("\\p{N} "), nullptr);
  EXPECT_NE(find_scanner("\\p{N}"), nullptr);
}

TEST(Scanners, Gpt2) {
  EXPECT_EQ(pieces(gpt2_scanner(), "I'll  go 3x's'S"), (Pieces{"I", "'ll", " ", " go", " 3", "x", "'s", "'", "S"}));
  EXPECT_EQ(pieces(gpt2_scanner(), "a \n b\n\n"), (Pieces{"a", " \n", " b", "\n\n"}));
  EXPECT_EQ(pieces(gpt2_scanner(), " '"), (Pieces{" '"}));
  EXPECT_EQ(pieces(gpt2_scanner(), "\u3000x"), (Pieces{"\u3000", "x"}));
}

const char* const kLlama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

TEST(Scanners, Llama3) {
  const Scanner s = find_scanner(kLlama3);
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(pieces(s, "I'LL 12345!?\n\n x"), (Pieces{"I", "'LL", " ", "123", "45", "!?\n\n", " x"}));
  EXPECT_EQ(pieces(s, "  \n  \n  a"), (Pieces{"  \n  \n", " ", " a"}));
  EXPECT_EQ(pieces(s, "'\u017f$a"), (Pieces{"'\u017f", "$a"}));  // the long s folds to s
  EXPECT_EQ(pieces(s, "a   "), (Pieces{"a", "   "}));
}

TEST(Scanners, O200kGivesBackCharacters) {
  const Scanner s = find_scanner(
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'"
      "ll|'d)?|"
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'"
      "ll|'d)?|"
      "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+");
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(pieces(s, "camelCaseHTTPServer's"), (Pieces{"camel", "Case", "HTTPServer's"}));
  EXPECT_EQ(pieces(s, "AB\u05d0CD"), (Pieces{"AB\u05d0", "CD"}));
  EXPECT_EQ(pieces(s, " ABC//\n"), (Pieces{" ABC", "//\n"}));
  EXPECT_EQ(pieces(s, "\u0301A"), (Pieces{"\u0301", "A"}));
}

TEST(Scanners, SmallOnes) {
  EXPECT_EQ(pieces(find_scanner("\\p{N}{1,3}"), "a1234\u0663b"), (Pieces{"<a>", "123", "4\u0663", "<b>"}));
  EXPECT_EQ(pieces(find_scanner("\\p{N}"), "12"), (Pieces{"1", "2"}));
  EXPECT_EQ(pieces(find_scanner("[0-9][0-9][0-9]"), "12 3456"), (Pieces{"<12 >", "345", "<6>"}));
  EXPECT_EQ(pieces(find_scanner(" {2,}"), "a b  c   "), (Pieces{"<a b>", "  ", "<c>", "   "}));
  EXPECT_EQ(pieces(find_scanner("\\s+$"), " a \nb  "), (Pieces{"< a>", " ", "<\nb>", "  "}));
  EXPECT_EQ(pieces(find_scanner("\\s+$"), "\n"), (Pieces{"\n"}));
  EXPECT_EQ(pieces(find_scanner("\\s?\\p{L}+"), "  ab1 c"), (Pieces{"< >", " ab", "<1>", " c"}));
  EXPECT_EQ(pieces(find_scanner("[\r\n]"), "a\r\nb"), (Pieces{"<a>", "\r", "\n", "<b>"}));
  EXPECT_EQ(pieces(word_scanner(), "a_1, b!?"), (Pieces{"a_1", ",", "< >", "b", "!?"}));
}

const std::vector<const char*>& all_expressions() {
  static const std::vector<const char*> list = {
      kLlama3,
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"
      "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?"
      "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|"
      "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      "\\p{N}{1,3}",
      "[0-9][0-9][0-9]",
      " {2,}",
      "\\s+",
      "\\s+$",
      "\\s?\\p{L}+",
      "\\s?\\p{P}+",
      "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
      " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
      " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  };
  return list;
}

TEST(Scanners, LinearOnRepeatedPatterns) {
  for (const char* expression : all_expressions()) {
    const Scanner scanner = find_scanner(expression);
    ASSERT_NE(scanner, nullptr) << expression;
    for (const char* pattern :
         {"a",       " ", "\n",     " \n", "\n ", "'",   "1", "A",      "\u0301", "\u0301A", "\u05d0A",
          "A\u05d0", ".", "\u00a0", "a ",  " a",  "12 ", "(", "\u4e00", "\u0001", "\r "}) {
      std::string text;
      while (text.size() < 400'000) text += pattern;
      const std::clock_t start = std::clock();  // of the processor: a busy machine is no failure
      const char* end = text.data() + text.size();
      for (const char* p = text.data(); p < end;) p = scanner(p, end).end;
      EXPECT_LT(std::clock() - start, CLOCKS_PER_SEC) << expression << " on " << pattern;
    }
  }
}

}  // namespace
}  // namespace miao::prep
