#include "runtime/stop.h"

#include <gtest/gtest.h>

#include "runtime/rng.h"

namespace miao::runtime {
namespace {

// The specification: what a stream gives out, computed from the whole text at once.
std::string truth(const std::string& text, const std::vector<std::string>& stops) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

StopMatcher matcher(std::vector<std::string> stops) {
  auto m = StopMatcher::create(std::move(stops));
  EXPECT_TRUE(m.ok());
  return std::move(*m);
}

TEST(Stop, AcrossPieces) {
  StopMatcher m = matcher({"END"});
  EXPECT_EQ(m.push("a E"), "a ");
  EXPECT_EQ(m.push("N"), "");
  EXPECT_EQ(m.push("T"), "ENT");
  EXPECT_FALSE(m.stopped());
  EXPECT_EQ(m.push(" xEN"), " x");
  EXPECT_EQ(m.push("D and more"), "");
  EXPECT_TRUE(m.stopped());
  EXPECT_EQ(m.matched(), "END");
  EXPECT_EQ(m.push("late"), "");
  EXPECT_EQ(m.finish(), "");
}

TEST(Stop, FinishGivesBackWhatWasHeld) {
  StopMatcher m = matcher({"\n\nUser:"});
  EXPECT_EQ(m.push("text\n\nUse"), "text");
  EXPECT_EQ(m.finish(), "\n\nUse");
}

TEST(Stop, PrefixThatRestartsInsideItself) {
  StopMatcher m = matcher({"aab"});
  EXPECT_EQ(m.push("aa"), "");
  EXPECT_EQ(m.push("a"), "a");
  EXPECT_EQ(m.push("b"), "");
  EXPECT_TRUE(m.stopped());
}

TEST(Stop, FirstCompleteThenLongest) {
  StopMatcher first = matcher({"bcd", "b"});
  EXPECT_EQ(first.push("abcd"), "a");
  EXPECT_EQ(first.matched(), "b");
  StopMatcher longest = matcher({"c", "abc"});
  EXPECT_EQ(longest.push("xabc"), "x");
  EXPECT_EQ(longest.matched(), "abc");
}

TEST(Stop, WithoutStopsEverythingPasses) {
  StopMatcher m;
  EXPECT_EQ(m.push("any"), "any");
  EXPECT_EQ(m.finish(), "");
}

TEST(Stop, BadStrings) {
  for (const char* bad : {"", "\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\xe0\x80\x80"}) {
    const auto m = StopMatcher::create({"fine", bad});
    ASSERT_FALSE(m.ok());
    EXPECT_EQ(m.error().code, Code::invalid);
  }
  EXPECT_TRUE(StopMatcher::create({"\u00e9\u4e2d\U0001f600"}).ok());
}

// Any cutting into bytes, also inside UTF-8 sequences, gives the text of the specification, and after each push the
// text given out is a prefix of it: no byte of a stop string leaks.
TEST(Stop, AnyCutGivesTheSameText) {
  const std::vector<std::string> alphabet = {"a", "b", "\u00e9", "\u00e8", "\u4e2d", "\U0001f600", "\U0001f601"};
  Rng rng(7);
  const auto random_text = [&](int64_t max) {
    std::string out;
    for (uint64_t n = 1 + rng.below(static_cast<uint64_t>(max)); n > 0; --n)
      out += alphabet[rng.below(alphabet.size())];
    return out;
  };
  int stopped = 0;
  for (int round = 0; round < 4000; ++round) {
    std::vector<std::string> stops;
    for (uint64_t n = rng.below(4); n > 0; --n) stops.push_back(random_text(5));
    const std::string text = random_text(40), wanted = truth(text, stops);
    StopMatcher m = matcher(stops);
    std::string got;
    for (size_t i = 0; i < text.size();) {
      const size_t n = std::min<size_t>(1 + rng.below(6), text.size() - i);
      got += m.push(text.substr(i, n));
      ASSERT_EQ(wanted.compare(0, got.size(), got), 0) << "leaked";
      i += n;
    }
    got += m.finish();
    ASSERT_EQ(got, wanted);
    stopped += m.stopped();
  }
  EXPECT_GT(stopped, 1000);
}

}  // namespace
}  // namespace miao::runtime
