// Tokenizers written as GGUF keys and read back: the same ids, or an Error that says what such files have no words for.
#include "prep/tokenizer_keys.h"

#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "base/json.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

namespace fs = std::filesystem;

KeyValues read_as(const TokenizerKeys& written) {
  KeyValues kv("test.gguf");
  for (const auto& [key, value] : written.keys) {
    std::visit(
        [&, k = key](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          KeyValues::Value read;
          if constexpr (std::is_same_v<T, bool>) {
            read = v;
          } else if constexpr (std::is_same_v<T, uint32_t>) {
            read = int64_t{v};
          } else if constexpr (std::is_same_v<T, std::string>) {
            read = kv.intern(v);
          } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            KeyValues::Strings texts;
            for (const std::string& text : v) texts.push_back(kv.intern(text));
            read = texts;
          } else if constexpr (std::is_same_v<T, std::vector<float>>) {
            read = KeyValues::Floats(v.begin(), v.end());
          } else {
            read = KeyValues::Ints(v.begin(), v.end());
          }
          EXPECT_TRUE(kv.set(k, read)) << k;
        },
        value);
  }
  return kv;
}

std::string text_of(const Json& row) {
  if (row.contains("text")) return row["text"].get<std::string>();
  const auto hex = row["hex"].get<std::string>();
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

// How many of the texts get other ids.
size_t others(const Tokenizer& a, const Tokenizer& b, const Json& cases, bool print = false) {
  size_t out = 0;
  for (const Json& row : cases) {
    const std::string text = text_of(row);
    for (const bool special : {true, false}) {
      const auto x = a.encode(text, {.add_special = special}), y = b.encode(text, {.add_special = special});
      if (!x.ok() || !y.ok() || *x != *y) {
        ++out;
        if (print) std::printf("[%s]\n", text.c_str());
      }
    }
  }
  return out;
}

class Keys : public testing::TestWithParam<std::string> {};

TEST_P(Keys, OfTokenizerJson) {
  const Json golden = test::golden_json(GetParam() + ".json");
  auto tokenizer = Tokenizer::from_json(dump_json(test::patched_base(golden)), "", GetParam());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  const auto written = gguf_keys(*tokenizer, tokenizer->vocab_size() + 3);
  if (!written.ok()) {
    std::printf("ERR %s: %s\n", GetParam().c_str(), written.error().str().c_str());
    return;
  }
  for (const auto& n : written->notes) std::printf("NOTE %s: %s\n", GetParam().c_str(), n.c_str());
  auto again = Tokenizer::from_gguf(read_as(*written));
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(others(*tokenizer, *again, golden["cases"], true), 0u);
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(test::golden_directory())) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".json" && !name.starts_with("base_")) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Keys, testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

class SpmKeys : public testing::TestWithParam<std::string> {};

TEST_P(SpmKeys, OfDirectories) {
  const fs::path directory = test::sentencepiece_directory() / GetParam();
  const Json golden = Json::parse(*read_file(directory / "cases.json"));
  auto tokenizer = Tokenizer::from_files(test::reader_of(directory), "d");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  const auto written = gguf_keys(*tokenizer, tokenizer->vocab_size());
  if (!written.ok()) {
    std::printf("ERR %s: %s\n", GetParam().c_str(), written.error().str().c_str());
    return;
  }
  for (const auto& n : written->notes) std::printf("NOTE %s: %s\n", GetParam().c_str(), n.c_str());
  auto again = Tokenizer::from_gguf(read_as(*written));
  ASSERT_TRUE(again.ok()) << again.error().str();
  EXPECT_EQ(others(*tokenizer, *again, golden["cases"], true), 0u);
}

std::vector<std::string> directories() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(test::sentencepiece_directory()))
    if (entry.is_directory()) out.push_back(entry.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}
INSTANTIATE_TEST_SUITE_P(Tokenizers, SpmKeys, testing::ValuesIn(directories()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace miao::prep
