// Golden samples: tests/golden/tokenizers holds small tokenizers and the ids and texts that Hugging Face's library
// gives. Each file names a base tokenizer.json and the fields that differ from it.
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "prep/tok/unicode.h"
#include "prep/tokenizer.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

struct Case {
  std::string text;  // bytes, perhaps broken UTF-8
  std::vector<int32_t> ids;
  std::string decoded;
  std::vector<ByteRange> ranges;  // of the ids, where the text is valid UTF-8
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
    const auto ranges = row.value("ranges", std::vector<uint32_t>());
    for (size_t i = 0; i < ranges.size(); i += 2) c.ranges.push_back({ranges[i], ranges[i + 1]});
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

// Where code points are composed or put in order, and where a run of blanks becomes one, the reference pairs old and
// new by their number, so that a composed letter stands for the bare letter alone. Here it stands for all that made it.
bool rewritten_in_groups(std::string_view text) {
  bool blank = false;
  for (size_t at = 0; at < text.size();) {
    const Rune r = rune_at(text.data() + at);
    const uint32_t flags = class_of(r.value);
    const bool before = std::exchange(blank, (flags & (kWhite | kControl)) != 0);
    if (blank && before) return true;
    if (r.value >= 0x300 && (flags & (kNormal | kCombining | kNonSpacing))) return true;
    if (r.value >= 0x1100 && r.value <= 0x11FF) return true;  // jamo
    at += r.size;
  }
  return false;
}

TEST_P(Golden, RangesAreTheReference) {
  const Json golden = test::golden_json(GetParam() + ".json");
  auto made = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", GetParam());
  ASSERT_TRUE(made.ok()) << made.error().str();
  for (const Case& c : cases_of(golden)) {
    const auto located = made->locate(c.text);
    ASSERT_TRUE(located.ok());
    ASSERT_EQ(located->ids, c.ids) << c.text;
    ASSERT_EQ(located->ranges.size(), c.ids.size());
    for (size_t i = 0; i < c.ranges.size(); ++i) {
      const ByteRange own = located->ranges[i], reference = c.ranges[i];
      const bool around = own.begin <= reference.begin && own.end >= reference.end;
      EXPECT_TRUE(rewritten_in_groups(c.text) ? around : own == reference)
          << c.text << ": token " << i << ", " << own.begin << " to " << own.end << " instead of " << reference.begin
          << " to " << reference.end;
    }
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
