// SentencePiece's files by the byte: what is read, and what is refused without harm.
#include "prep/tok/spm_file.h"

#include <gtest/gtest.h>

#include <bit>

#include "base/file.h"
#include "prep/tokenizer.h"
#include "prep/tokenizer_test_support.h"

namespace miao::prep {
namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number(uint32_t field, uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(uint32_t field, std::string_view value) {
  return varint(field << 3 | 2) + varint(value.size()) + std::string(value);
}
std::string real(uint32_t field, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  std::string out = varint(field << 3 | 5);
  for (int i = 0; i < 4; ++i) out += static_cast<char>(bits >> 8 * i);
  return out;
}
std::string piece(std::string_view text, float score, uint64_t type = 1) {
  return bytes(1, bytes(1, text) + real(2, score) + number(3, type));
}
std::string small() {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("a", -1) + piece("\u2581", -2);
}

std::string refused(const std::string& model) {
  const auto file = parse_spm(model);
  return file.ok() ? "" : file.error().str();
}

TEST(SpmFile, FieldsAndDefaults) {
  const std::string trainer = bytes(2, number(3, 2) + number(41, 7) + number(43, ~uint64_t{0}) + number(24, 1));
  const std::string normalizer = bytes(3, bytes(1, "name") + number(3, 0) + number(5, 0));
  const std::string model = small() + trainer + normalizer + bytes(4, "self test") + number(99, 5) + real(100, 1);
  auto file = parse_spm(model);
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->size(), 5);
  EXPECT_EQ(file->pieces[3].text, "a");
  EXPECT_EQ(file->pieces[3].score, -1);
  EXPECT_EQ(file->unk, 0);
  EXPECT_EQ(file->algorithm, SpmFile::Algorithm::bpe);
  EXPECT_EQ(file->bos, 7);
  EXPECT_EQ(file->eos, 2);
  EXPECT_EQ(file->pad, -1);
  EXPECT_TRUE(file->whitespace_suffix);
  EXPECT_FALSE(file->add_dummy_prefix);
  EXPECT_TRUE(file->remove_extra_whitespaces);
  EXPECT_FALSE(file->escape_whitespaces);
}

TEST(SpmFile, RefusedFilesSayWhy) {
  const std::string huge = varint(1 << 3 | 2) + varint(~uint64_t{0});
  const struct {
    const char* name;
    std::string model;
    const char* says;
  } cases[] = {
      {"empty", "", "no piece"},
      {"text", "{\"model\": 1}", "SentencePiece"},
      {"huge length", small() + huge, "with 0 left"},
      {"number without end", std::string(12, '\xFF'), "more than ten bytes"},
      {"group", small() + varint(7 << 3 | 3), "wire type 3"},
      {"field 0", small() + number(0, 1), "field number"},
      {"piece is a number", small() + number(1, 4), "wire type 0"},
      {"score is text", small() + bytes(1, bytes(1, "b") + bytes(2, "1")), "wire type 2"},
      {"type is a float", small() + bytes(1, bytes(1, "b") + real(3, 1)), "wire type 5"},
      {"unknown type", small() + piece("b", 0, 9), "type 9"},
      {"empty piece", small() + piece("", 0), "piece 5 is empty"},
      {"not UTF-8", small() + piece("\xC3", 0), "UTF-8"},
      {"long piece", small() + piece(std::string(100000, 'x'), 0), "100000 bytes"},
      {"score of no number", small() + piece("b", std::bit_cast<float>(0x7FC00000u)), "finite"},
      {"two unknown pieces", small() + piece("<u>", 0, 2), "two unknown"},
      {"no unknown piece", piece("a", 0), "unknown text"},
      {"words", small() + bytes(2, number(3, 3)), "words"},
      {"characters", small() + bytes(2, number(3, 4)), "characters"},
      {"model type 9", small() + bytes(2, number(3, 9)), "model type is 9"},
      {"a byte piece alone", small() + piece("<0x41>", 0, 6), "1 bytes"},
      {"a byte piece misspelled", small() + piece("<0xZZ>", 0, 6), "<0x00>"},
      {"byte_fallback without pieces", small() + bytes(2, number(35, 1)), "byte_fallback is on"},
  };
  for (const auto& c : cases) EXPECT_NE(refused(c.model).find(c.says), std::string::npos) << c.name << refused(c.model);
  // What only shows when the model is built.
  for (const auto& [model, says] : {std::pair(small() + piece("a", 0), "is spelled as piece 3"),
                                    std::pair(small() + piece("b", 0, 5) + bytes(2, number(3, 2)), "unused"),
                                    std::pair(small() + bytes(3, bytes(2, "abc")), "charsmap"),
                                    std::pair(small() + piece(std::string(300, 'x'), 0), "300 bytes")}) {
    const auto made = Tokenizer::from_sentencepiece(model, "x.model");
    ASSERT_FALSE(made.ok()) << says;
    EXPECT_NE(made.error().str().find(says), std::string::npos) << made.error().str();
    EXPECT_EQ(made.error().where.substr(0, 7), "x.model");
  }
}

TEST(SpmFile, CutAnywhereNothingBreaks) {
  const std::string model = *read_file(test::sentencepiece_directory() / "bpe_bytes.model");
  for (size_t size = 0; size < model.size(); size += 7) {
    const auto made = Tokenizer::from_sentencepiece(std::string_view(model).substr(0, size), "cut");
    if (made.ok()) EXPECT_TRUE(made->encode("some text").ok());
  }
}

// A text of one unknown run is looked up piece by piece; long ones must not take quadratic time.
TEST(SpmFile, LongUnknownTextIsQuick) {
  auto tokenizer = Tokenizer::from_files(test::reader_of(test::sentencepiece_directory() / "m2m"), "m2m");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().str();
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "\u7025";
  const auto ids = tokenizer->encode(text, {.add_special = false});
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(ids->back(), *tokenizer->unk_id());
  EXPECT_LE(ids->size(), 2u);
}

}  // namespace
}  // namespace miao::prep
