// Golden samples: tests/golden/tokenizers holds small tokenizers and the ids and texts that Hugging Face's library
// gives. Each file names a base tokenizer.json and the fields that differ from it.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "prep/tokenizer.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

struct Case {
  std::string text;  // bytes, perhaps broken UTF-8
  std::vector<int32_t> ids;
  std::string decoded;
};

std::vector<Case> cases_of(const Json& golden) {
  std::vector<Case> cases;
  for (const Json& row : golden["cases"]) {
    Case c;
    if (row.contains("text")) {
      c.text = row["text"].get<std::string>();
    } else {
      const auto hex = row["hex"].get<std::string>();
      for (size_t i = 0; i < hex.size(); i += 2) c.text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    c.ids = row["ids"].get<std::vector<int32_t>>();
    c.decoded = row["decoded"].get<std::string>();
    cases.push_back(std::move(c));
  }
  return cases;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, IdsAndTextsAreTheReference) {
  const Json golden = test::golden_json(GetParam() + ".json");
  auto made = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", GetParam());
  ASSERT_TRUE(made.ok()) << made.error().str();
  const Tokenizer tokenizer = *made;
  const std::vector<Case> cases = cases_of(golden);
  ASSERT_GT(cases.size(), 50u);
  for (const Case& c : cases) {
    EXPECT_EQ(*tokenizer.encode(c.text), c.ids) << c.text;
    EXPECT_EQ(tokenizer.decode(c.ids), c.decoded);
  }
}

// One id at a time gives the same text, in whole code points.
TEST_P(Golden, StreamsAreTheDecodedText) {
  const Json golden = test::golden_json(GetParam() + ".json");
  auto made = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", GetParam());
  ASSERT_TRUE(made.ok()) << made.error().str();
  StreamDecoder stream(*made);
  for (const Case& c : cases_of(golden)) {
    std::string text;
    for (int32_t id : c.ids) {
      const std::string part = stream.push(id);
      EXPECT_TRUE(test::is_valid_utf8(part));
      text += part;
    }
    text += stream.flush();
    // A run of byte tokens that is no UTF-8 becomes one U+FFFD a byte as a whole only when nothing is streamed.
    if (c.decoded.find("\xEF\xBF\xBD") == std::string::npos) {
      EXPECT_EQ(text, c.decoded);
    }
    EXPECT_TRUE(test::is_valid_utf8(text));
  }
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(test::golden_directory())) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".json" && !name.starts_with("base_")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Golden, testing::ValuesIn(golden_names()),
                         [](const testing::TestParamInfo<std::string>& info) { return info.param; });

}  // namespace
}  // namespace miao::prep
