// GGUF files that must load: every value type, every tensor type, both versions, alignments, vocabularies without
// tensors.
#include <gtest/gtest.h>

#include <ctime>

#include "io/files/format.h"
#include "io/testing.h"

namespace miao::io {
namespace {

Bytes view(const std::string& s) { return std::as_bytes(std::span(s)); }

// Block bytes with finite scales for `rows` rows of one block.
std::string blocks(const Format& f, int rows) {
  std::string out;
  for (int i = 0; i < rows * f.bytes; ++i) out += static_cast<char>(i * 7 % 60);
  return out;
}

TEST(Gguf, EveryValueTypeArrives) {
  GgufBuilder b;
  b.key("a.u8", uint8_t{200}).key("a.i8", int8_t{-100}).key("a.u16", uint16_t{60000}).key("a.i16", int16_t{-30000});
  b.key("a.u32", uint32_t{4000000000u}).key("a.i32", int32_t{-2000000000}).key("a.u64", uint64_t{INT64_MAX});
  b.key("a.i64", int64_t{INT64_MIN}).key("a.f32", 0.5f).key("a.f64", 1e300).key("a.yes", true).key("a.no", false);
  b.key("a.text", "caf\xc3\xa9").key("a.empty", "");
  b.array("l.bool", std::vector<bool>{true, false}).array("l.u8", std::vector<uint8_t>{1, 255});
  b.array("l.i32", std::vector<int32_t>{-1, 7}).array("l.f32", std::vector<float>{0.25f, -1.5f});
  b.array("l.text", std::vector<std::string>{"a", "", "ccc"}).array("l.none", std::vector<std::string>{});
  const std::string bytes = b.bytes();
  auto file = parse_gguf(view(bytes), "m.gguf");
  ASSERT_TRUE(file.ok()) << file.error().str();
  const KeyValues& kv = file->meta;
  EXPECT_EQ(kv.size(), b.keys.size());
  EXPECT_EQ(*kv.integer("a.u8"), 200);
  EXPECT_EQ(*kv.integer("a.i8"), -100);
  EXPECT_EQ(*kv.integer("a.u16"), 60000);
  EXPECT_EQ(*kv.integer("a.i16"), -30000);
  EXPECT_EQ(*kv.integer("a.u32"), 4000000000);
  EXPECT_EQ(*kv.integer("a.i32"), -2000000000);
  EXPECT_EQ(*kv.integer("a.u64"), INT64_MAX);
  EXPECT_EQ(*kv.integer("a.i64"), INT64_MIN);
  EXPECT_EQ(*kv.number("a.f32"), 0.5);
  EXPECT_EQ(*kv.number("a.f64"), 1e300);
  EXPECT_EQ(*kv.boolean("a.yes"), true);
  EXPECT_EQ(*kv.boolean("a.no"), false);
  EXPECT_EQ(*kv.string("a.text"), "caf\xc3\xa9");
  EXPECT_EQ(*kv.string("a.empty"), "");
  EXPECT_EQ(**kv.integers("l.bool"), (KeyValues::Ints{1, 0}));
  EXPECT_EQ(**kv.integers("l.u8"), (KeyValues::Ints{1, 255}));
  EXPECT_EQ(**kv.integers("l.i32"), (KeyValues::Ints{-1, 7}));
  EXPECT_EQ(*kv.numbers("l.f32"), (KeyValues::Floats{0.25, -1.5}));
  EXPECT_EQ(**kv.strings("l.text"), (KeyValues::Strings{"a", "", "ccc"}));
  EXPECT_TRUE((*kv.strings("l.none"))->empty());
  EXPECT_EQ(kv.source(), "m.gguf");
  EXPECT_TRUE(file->tensors.empty());
}

TEST(Gguf, EveryTensorTypeArrives) {
  GgufBuilder b;
  for (const Format& f : all_formats()) {
    if (f.gguf >= 0) b.tensor(std::string("t.") + f.name, f.dtype, {3, f.block}, blocks(f, 3));
  }
  const std::string bytes = b.bytes();
  auto file = parse_gguf(view(bytes), "m.gguf");
  ASSERT_TRUE(file.ok()) << file.error().str();
  ASSERT_EQ(file->tensors.size(), b.tensors.size());
  for (const TensorView& t : file->tensors) {
    const Format& f = format(t.dtype);
    EXPECT_EQ(t.name, std::string("t.") + f.name);
    EXPECT_EQ(t.shape, (std::vector<int64_t>{3, f.block}));
    ASSERT_EQ(t.bytes, static_cast<uint64_t>(3 * f.bytes));
    EXPECT_EQ(std::memcmp(t.data, blocks(f, 3).data(), t.bytes), 0) << t.name;
    EXPECT_EQ((reinterpret_cast<const char*>(t.data) - bytes.data()) % 32, 0);
  }
}

TEST(Gguf, ShapesAreReversedToOutermostFirst) {
  GgufBuilder b;
  b.tensor("four", DType::i8, {2, 3, 5, 7}, std::string(210, 'x'))
      .tensor("scalar", {}, {3.5f})
      .tensor("row", {2}, {1, 2});
  EXPECT_EQ(b.tensors[0].ne, (std::vector<uint64_t>{7, 5, 3, 2}));
  const std::string bytes = b.bytes();
  auto file = parse_gguf(view(bytes), "m.gguf");
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->tensors[0].shape, (std::vector<int64_t>{2, 3, 5, 7}));
  EXPECT_EQ(file->tensors[0].cols(), 7);
  EXPECT_EQ(file->tensors[1].shape, std::vector<int64_t>{});
  EXPECT_EQ(file->tensors[1].bytes, 4u);
  EXPECT_EQ(file->tensors[2].rows(), 1);
}

TEST(Gguf, VersionsAndAlignments) {
  for (const uint32_t version : {2u, 3u}) {
    for (const uint32_t alignment : {8u, 16u, 32u, 64u, 4096u, 65536u}) {
      GgufBuilder b;
      b.version = version;
      b.set_alignment(alignment).tensor("a", {3}, {1, 2, 3}).tensor("b", {1}, {4});
      const std::string bytes = b.bytes();
      auto file = parse_gguf(view(bytes), "m.gguf");
      ASSERT_TRUE(file.ok()) << file.error().str();
      float value;
      std::memcpy(&value, file->tensors[1].data, 4);
      EXPECT_EQ(value, 4.0f);
    }
  }
}

TEST(Gguf, PaddingAfterTheLastTensorMayBeThereOrNot) {
  std::string bytes = GgufBuilder().tensor("a", {3}, {1, 2, 3}).bytes();
  EXPECT_TRUE(parse_gguf(view(bytes), "m.gguf").ok());
  bytes.resize(bytes.size() + 20);
  EXPECT_TRUE(parse_gguf(view(bytes), "m.gguf").ok());
}

TEST(Gguf, VocabularyOfAQuarterMillionParsesFast) {
  std::vector<std::string> tokens(262144);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = "token" + std::to_string(i);
  GgufBuilder b;
  b.array("tokenizer.ggml.tokens", tokens).array("tokenizer.ggml.scores", std::vector<float>(tokens.size(), 1.0f));
  const std::string bytes = b.bytes();
  const std::clock_t start = std::clock();
  auto file = parse_gguf(view(bytes), "m.gguf");
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ((**file->meta.strings("tokenizer.ggml.tokens"))[262143], "token262143");
  EXPECT_LT(seconds, 1.0);  // a few milliseconds on an idle machine without sanitizers
  RecordProperty("milliseconds", std::to_string(seconds * 1e3));
}

}  // namespace
}  // namespace miao::io
