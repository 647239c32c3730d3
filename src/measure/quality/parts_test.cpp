// Rank correlation and words.
#include <gtest/gtest.h>

#include "measure/quality/words.h"
#include "measure/ranks.h"

namespace miao::measure {
namespace {

// scipy.stats.spearmanr 1.17.1 of the values, each as often as its weight.
TEST(Ranks, SpearmanIsThatOfTheCopies) {
  const WeightedRanks a({1, 2, 2, 5, 4, 0}), b({3, 1, 4, 5, 9, 2});
  EXPECT_NEAR(spearman(a, b, std::vector<uint32_t>(6, 1)), 0.6957252427829381, 1e-12);
  EXPECT_NEAR(spearman(a, b, std::vector<uint32_t>{2, 3, 1, 3, 1, 0}), 0.6667948594698258, 1e-12);
  EXPECT_EQ(spearman(a, WeightedRanks({1, 1, 1, 1, 1, 1}), std::vector<uint32_t>(6, 1)), 0);
}

TEST(Words, AreComparedWithoutFormAndMarks) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(words_of("Hello, world!  It's 5\xe2\x80\x93"
                     "6."),
            (Words{"hello", "world", "it's", "5", "6"}));
  EXPECT_EQ(words_of("It\xe2\x80\x99s \xc3\x89T\xc3\x89 \xef\xac\x81ne"), (Words{"it's", "\xc3\xa9t\xc3\xa9", "fine"}));
  EXPECT_EQ(words_of("E\xcc\x81t\xc3\xa9"), words_of("\xc3\xa9t\xc3\xa9"));  // a letter and its accent
  EXPECT_TRUE(words_of(" ... \xff\xfe").empty());
}

TEST(Words, ErrorsAreTheLeast) {
  const auto errors = [](const char* said, const char* heard) { return word_errors(words_of(said), words_of(heard)); };
  EXPECT_EQ(errors("a b c", "a b c"), 0);
  EXPECT_EQ(errors("a b c", "a c"), 1);
  EXPECT_EQ(errors("a b c", "a x b c"), 1);
  EXPECT_EQ(errors("a b c", "b c d"), 2);
  EXPECT_EQ(errors("a b c", ""), 3);
  EXPECT_EQ(errors("", "a b"), 2);
}

}  // namespace
}  // namespace miao::measure
