// Golden samples of SentencePiece: ids and texts of the library for model files, of transformers for directories that
// have such files and no tokenizer.json. tools/sentencepiece_oracle.py writes them.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "prep/tok/spm_file.h"
#include "prep/tokenizer.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

namespace fs = std::filesystem;

std::string text_of(const Json& row) {
  if (row.contains("text")) return row["text"].get<std::string>();
  const auto hex = row["hex"].get<std::string>();
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

// The same ids, from left to right in the text.
void expect_places(const Tokenizer& tokenizer, const std::string& text, EncodeOptions options,
                   const std::vector<int32_t>& want) {
  const auto located = tokenizer.locate(text, options);
  ASSERT_TRUE(located.ok()) << located.error().str();
  EXPECT_EQ(located->ids, want) << text;
  ASSERT_EQ(located->ranges.size(), want.size());
  uint32_t begin = 0, end = 0;
  for (const ByteRange range : located->ranges) {
    if (range == ByteRange{}) continue;  // stands around the text, or for a space that the text lacks
    EXPECT_GE(range.begin, begin) << text;
    EXPECT_GE(range.end, end) << text;
    EXPECT_LE(range.end, text.size());
    begin = range.begin;
    end = range.end;
  }
}

void expect_cases(const Tokenizer& tokenizer, const Json& cases, const EncodeOptions& options) {
  ASSERT_GT(cases.size(), 30u);
  for (const Json& row : cases) {
    const std::string text = text_of(row);
    const auto want = row["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(*tokenizer.encode(text, options), want) << text;
    expect_places(tokenizer, text, options, want);
    if (row["decoded"].is_null()) continue;
    EXPECT_EQ(tokenizer.decode(want), row["decoded"].get<std::string>());
    StreamDecoder stream(tokenizer);
    std::string streamed;
    for (const int32_t id : want) streamed += stream.push(id);
    EXPECT_EQ(streamed + stream.flush(), row["decoded"].get<std::string>());
  }
}

Json read_json(const fs::path& path) {
  auto text = read_file(path);
  return text.ok() ? Json::parse(*text) : Json();
}

class SpmModels : public testing::TestWithParam<std::string> {};

TEST_P(SpmModels, IdsAndTextsAreThoseOfTheLibrary) {
  const fs::path model = test::sentencepiece_directory() / (GetParam() + ".model");
  auto tokenizer = Tokenizer::from_sentencepiece(*read_file(model), "m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  expect_cases(*tokenizer, read_json(test::sentencepiece_directory() / (GetParam() + ".json"))["cases"],
               {.parse_special = false});
}

// The same pieces as the metadata of a GGUF file. Such files have no user-defined pieces of this kind.
TEST_P(SpmModels, IdsOfGgufFilesAreThoseOfTheLibrary) {
  const std::string bytes = *read_file(test::sentencepiece_directory() / (GetParam() + ".model"));
  auto file = parse_spm(bytes);
  ASSERT_TRUE(file.ok());
  if (file->whitespace_suffix || GetParam().ends_with("symbols")) GTEST_SKIP();
  if (file->algorithm == SpmFile::Algorithm::bpe && !file->charsmap.empty()) GTEST_SKIP();  // "llama" has no map
  test::GgufVocab vocab;
  vocab.model = file->algorithm == SpmFile::Algorithm::bpe ? "llama" : "t5";
  vocab.pre.clear();
  for (const SpmFile::Piece& piece : file->pieces) {
    vocab.tokens.emplace_back(piece.text);
    vocab.types.push_back(static_cast<int64_t>(piece.type));
    vocab.scores.push_back(piece.score);
  }
  KeyValues meta = vocab.meta();
  KeyValues::Ints map;
  for (const char c : file->charsmap) map.push_back(c);  // signed, as converters write it
  if (!map.empty()) meta.set("tokenizer.ggml.precompiled_charsmap", map);
  meta.set("tokenizer.ggml.unknown_token_id", int64_t{file->unk});
  meta.set("tokenizer.ggml.remove_extra_whitespaces", file->remove_extra_whitespaces);
  auto tokenizer = Tokenizer::from_gguf(meta);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  const Json golden = read_json(test::sentencepiece_directory() / (GetParam() + ".json"));
  ASSERT_GT(golden["cases"].size(), 30u);
  for (const Json& row : golden["cases"]) {
    const auto ids = tokenizer->encode(text_of(row), {.add_special = false, .parse_special = false});
    EXPECT_EQ(*ids, row["ids"].get<std::vector<int32_t>>()) << text_of(row);
  }
}

class SpmDirectories : public testing::TestWithParam<std::string> {};

TEST_P(SpmDirectories, IdsAndTextsAreThoseOfTransformers) {
  const fs::path directory = test::sentencepiece_directory() / GetParam();
  const Json golden = read_json(directory / "cases.json");
  auto tokenizer = Tokenizer::from_files(test::reader_of(directory), "d");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  EXPECT_EQ(tokenizer->vocab_size(), golden["size"].get<int32_t>());
  expect_cases(*tokenizer, golden["cases"], {});
  if (!golden["target"].empty()) expect_cases(tokenizer->target(), golden["target"], {});
}

std::vector<std::string> names(bool directories) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(test::sentencepiece_directory())) {
    if (entry.is_directory() != directories) continue;
    if (directories || entry.path().extension() == ".model") out.push_back(entry.path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

const auto kName = [](const testing::TestParamInfo<std::string>& info) { return info.param; };
INSTANTIATE_TEST_SUITE_P(Golden, SpmModels, testing::ValuesIn(names(false)), kName);
INSTANTIATE_TEST_SUITE_P(Golden, SpmDirectories, testing::ValuesIn(names(true)), kName);

}  // namespace
}  // namespace miao::prep
