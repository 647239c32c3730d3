#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "base/check.h"

namespace miao {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error{Code::invalid, "is odd; give an even number", std::to_string(n)};
  return n / 2;
}
Result<void> even(int n) {
  MIAO_CHECK_OK(half(n));
  return {};
}
Result<int> quarter(int n) {
  MIAO_TRY(const int h, half(n));
  MIAO_TRY(const int q, half(h));
  return q;
}

TEST(Result, TryTakesTheValueOrReturnsTheError) {
  ASSERT_TRUE(quarter(12).ok());
  EXPECT_EQ(*quarter(12), 3);
  const Result<int> failed = quarter(6);
  ASSERT_FALSE(failed.ok());
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().where, "3");
  EXPECT_TRUE(even(2).ok());
  EXPECT_EQ(even(3).error().code, Code::invalid);
}

TEST(Result, MovesValuesThatCannotBeCopied) {
  auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  auto pass = [&]() -> Result<std::unique_ptr<int>> {
    MIAO_TRY(std::unique_ptr<int> p, make());
    ++*p;
    return p;
  };
  Result<std::unique_ptr<int>> result = pass();
  ASSERT_TRUE(result.ok());
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 8);
}

TEST(Result, ArrowReachesMembers) {
  Result<std::vector<int>> result = std::vector<int>{1, 2, 3};
  result->push_back(4);
  EXPECT_EQ(result->size(), 4u);
}

TEST(Error, OneLineWithPlaceAndCode) {
  EXPECT_EQ((Error{Code::corrupt, "ends early", "a.gguf"}).str(), "a.gguf: ends early (corrupt)");
  EXPECT_EQ((Error{Code::io, "no answer", ""}).str(), "no answer (i/o error)");
}

TEST(Error, AtAddsTheOuterPlaceInFront) {
  EXPECT_EQ((Error{Code::corrupt, "bad", "tensor x"}).at("a.gguf").where, "a.gguf: tensor x");
  EXPECT_EQ((Error{Code::corrupt, "bad", ""}).at("a.gguf").where, "a.gguf");
}

TEST(Error, EachCodeHasItsOwnName) {
  std::set<std::string> names;
  constexpr int kCodes = static_cast<int>(Code::device) + 1;
  for (int i = 0; i < kCodes; ++i) names.insert(code_name(static_cast<Code>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(kCodes));
}

TEST(Check, ThrowsBugWithExpressionAndPlace) {
  const int one = 1;
  EXPECT_NO_THROW(MIAO_CHECK(one == 1));
  try {
    MIAO_CHECK(one == 2);
    FAIL() << "no Bug";
  } catch (const Bug& bug) {
    const std::string text = bug.what();
    EXPECT_NE(text.find("one == 2"), std::string::npos) << text;
    EXPECT_NE(text.find("result_test.cpp:"), std::string::npos) << text;
  }
}

TEST(Error, LongTextIsCutInTheMiddle) {
  const Error error{Code::invalid, "the name '" + std::string(100000, 'x') + "' is wrong", "m.gguf"};
  EXPECT_LT(error.str().size(), 1600u);
  EXPECT_EQ(error.str().find("m.gguf: the name 'xxx"), 0u);
  EXPECT_NE(error.str().find("xxx ... xxx"), std::string::npos);
  EXPECT_NE(error.str().find("xxx' is wrong (invalid)"), std::string::npos);
}

}  // namespace
}  // namespace miao
