// CTranslate2's model.bin: what arrives of sound files, and files that must be refused, each with its reason.
#include <gtest/gtest.h>

#include "io/files/format.h"
#include "io/testing.h"

namespace miao::io {
namespace {

// On a heap copy of the exact size, so that a sanitizer sees a read past the end.
Result<ParsedFile> parse_copy(std::string_view bytes, size_t size) {
  const std::vector<char> copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  return parse_ct2(std::as_bytes(std::span(copy)), "model.bin");
}

Ct2Builder sound() {
  Ct2Builder b;
  b.variable("first", {2, 2}, {1, 2, 3, 4}).variable("scalar", {}, 1, "\x07").variable("third", {3}, 4, "abcdef");
  return b.alias("other", "third");
}

void expect_sensible(const Error& error, const std::string& name) {
  const std::string line = error.str();
  EXPECT_EQ(line.find_first_of(std::string("\n\r\0\x1b", 4)), std::string::npos) << name << ": " << line;
  EXPECT_EQ(line.rfind("model.bin", 0), 0u) << name << ": " << line;
  EXPECT_GT(error.message.size(), 15u) << name << ": " << line;
  EXPECT_LT(line.size(), 500u) << name << ": " << line;
}

TEST(Ct2, EveryTypeArrives) {
  const DType types[] = {DType::f32, DType::i8, DType::i16, DType::i32, DType::f16, DType::bf16};
  Ct2Builder b;
  for (uint8_t i = 0; i < std::size(types); ++i) {
    std::string data;
    for (int k = 0; k < 6 * format(types[i]).bytes; ++k) data += static_cast<char>(k + i);
    b.variable("t" + std::to_string(i), {2, 3}, i, data);
  }
  const std::string bytes = b.bytes();
  auto file = parse_ct2(std::as_bytes(std::span(bytes)), "model.bin");
  ASSERT_TRUE(file.ok()) << file.error().str();
  ASSERT_EQ(file->tensors.size(), std::size(types));
  for (size_t i = 0; i < std::size(types); ++i) {
    const TensorView& t = file->tensors[i];
    EXPECT_EQ(t.name, "t" + std::to_string(i));
    EXPECT_EQ(t.dtype, types[i]);
    EXPECT_EQ(t.shape, (std::vector<int64_t>{2, 3}));
    ASSERT_EQ(t.bytes, b.variables[i].data.size());
    EXPECT_EQ(std::memcmp(t.data, b.variables[i].data.data(), t.bytes), 0);
  }
  EXPECT_EQ(*file->meta.string("ct2.spec"), "WhisperSpec");
  EXPECT_EQ(*file->meta.integer("ct2.revision"), 3);
}

TEST(Ct2, ScalarsEmptyVariablesAndNone) {
  Ct2Builder b;
  const std::string bytes = b.variable("n", {}, 2, {8, 0}).variable("empty", {0, 5}, 0, "").bytes();
  auto file = parse_ct2(std::as_bytes(std::span(bytes)), "model.bin");
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->tensors[0].shape, std::vector<int64_t>{});
  EXPECT_EQ(file->tensors[0].elements(), 1);
  EXPECT_EQ(file->tensors[1].elements(), 0);
  const std::string none = Ct2Builder().bytes();
  EXPECT_TRUE(parse_ct2(std::as_bytes(std::span(none)), "model.bin").ok());
}

TEST(Ct2, AliasesAreTheSameDataAndBringTheirScales) {
  Ct2Builder b;
  b.variable("w", {2}, 1, "ab").variable("w_scale", {1}, {0.5f}).alias("v", "w").alias("u", "v");
  const std::string bytes = b.bytes();
  auto file = parse_ct2(std::as_bytes(std::span(bytes)), "model.bin");
  ASSERT_TRUE(file.ok()) << file.error().str();
  std::vector<std::string> names;
  for (const TensorView& t : file->tensors) names.push_back(t.name);
  EXPECT_EQ(names, (std::vector<std::string>{"w", "w_scale", "v", "v_scale", "u", "u_scale"}));
  for (size_t i = 2; i < 6; ++i) EXPECT_EQ(file->tensors[i].data, file->tensors[i % 2].data);
}

struct Bad {
  std::string name, expect;
  void (*change)(Ct2Builder&);
};
using B = Ct2Builder;
const Bad kBad[] = {
    {"version 0", "neither GGUF nor", [](B& b) { b.version = 0; }},
    {"version 5", "version 5, miao reads 6", [](B& b) { b.version = 5; }},
    {"version 7", "version 7, miao reads 6", [](B& b) { b.version = 7; }},
    {"version 2^32 - 1", "neither GGUF nor", [](B& b) { b.version = UINT32_MAX; }},
    {"no spec", "neither GGUF nor", [](B& b) { b.spec = B::nul(""); }},
    {"spec without NUL", "neither GGUF nor", [](B& b) { b.spec = "WhisperSpec"; }},
    {"spec with a space", "neither GGUF nor", [](B& b) { b.spec = B::nul("Whisper Spec"); }},
    {"spec length 0", "neither GGUF nor", [](B& b) { b.spec_bytes = 0; }},
    {"spec length 65535", "neither GGUF nor", [](B& b) { b.spec_bytes = 65535; }},
    {"no variables", "aliases, more than 65536", [](B& b) { b.variable_count = 0; }},
    {"a variable less", "aliases", [](B& b) { b.variable_count = 2; }},
    {"a variable more", "variable 3 has no name", [](B& b) { b.variable_count = 4; }},
    {"2^20 + 1 variables", "more than 1048576", [](B& b) { b.variable_count = (1 << 20) + 1; }},
    {"2^20 variables", "inside its 1048576 variables", [](B& b) { b.variable_count = 1 << 20; }},
    {"2^32 - 1 variables", "more than 1048576", [](B& b) { b.variable_count = UINT32_MAX; }},
    {"empty name", "has no name", [](B& b) { b.variables[1].name = B::nul(""); }},
    {"name of no bytes", "has no name", [](B& b) { b.variables[1].name = ""; }},
    {"name without NUL", "has no name", [](B& b) { b.variables[1].name = "name"; }},
    {"name with a NUL inside", "has no name", [](B& b) { b.variables[1].name = B::nul(B::nul("a")); }},
    {"name with an escape", "has no name", [](B& b) { b.variables[1].name = B::nul("\x1b[2J"); }},
    {"name longer than the file", "inside the name of variable 2", [](B& b) { b.variables[2].name_bytes = 65535; }},
    {"name twice", "\"first\" appears twice", [](B& b) { b.variables[1].name = B::nul("first"); }},
    {"rank 9", "9 dimensions, more than 8", [](B& b) { b.variables[0].rank = 9; }},
    {"rank 255", "255 dimensions", [](B& b) { b.variables[0].rank = 255; }},
    {"rank too low", "variable \"first\"", [](B& b) { b.variables[0].rank = 1; }},
    {"dimension 3", "16 bytes, but its shape and type need 24", [](B& b) { b.variables[0].dims[0] = 3; }},
    {"dimension 0", "need 0", [](B& b) { b.variables[0].dims[0] = 0; }},
    {"dimensions that wrap", "too large to count",
     [](B& b) {
       b.variables[0].dims = {1u << 31, 1u << 31, 1u << 31};
     }},
    {"bytes that wrap", "fewer than its shape",
     [](B& b) {
       b.variables[0].dims = {1u << 31, 1u << 31};
     }},
    {"bytes of 2^32", "need 4294967296", [](B& b) { b.variables[0].dims = {1u << 30}; }},
    {"type 6", "type 6, which miao does not know", [](B& b) { b.variables[0].type = 6; }},
    {"type 255", "type 255", [](B& b) { b.variables[0].type = 255; }},
    {"another type", "but its shape and type need 8", [](B& b) { b.variables[0].type = 5; }},
    {"bytes short", "15 bytes, but", [](B& b) { b.variables[0].bytes = 15; }},
    {"bytes long", "4294967295 bytes, but", [](B& b) { b.variables[0].bytes = UINT32_MAX; }},
    {"data longer than the file", "inside the data of variable \"third\"",
     [](B& b) { b.variables[2].dims = {99}, b.variables[2].bytes = 198; }},
    {"2^16 + 1 aliases", "more than 65536", [](B& b) { b.alias_count = 65537; }},
    {"2^16 aliases", "inside its 65536 aliases", [](B& b) { b.alias_count = 65536; }},
    {"an alias less", "goes on for", [](B& b) { b.alias_count = 0; }},
    {"an alias more", "inside alias 1", [](B& b) { b.alias_count = 2; }},
    {"alias of nothing", "\"nothing\", which is not there", [](B& b) { b.alias("x", "nothing"); }},
    {"alias of itself", "which is not there", [](B& b) { b.alias("x", "x"); }},
    {"alias of the later", "which is not there", [](B& b) { b.alias("x", "y").alias("y", "first"); }},
    {"alias twice", "\"other\" appears twice", [](B& b) { b.alias("other", "first"); }},
    {"alias as a variable", "\"first\" appears twice", [](B& b) { b.alias("first", "third"); }},
    {"alias without NUL", "has no name", [](B& b) { b.aliases[0].first = "other"; }},
    {"alias of a name without NUL", "has no name", [](B& b) { b.aliases[0].second = "third"; }},
    {"empty alias", "has no name", [](B& b) { b.alias("", "first"); }},
    {"a byte more", "goes on for 1 bytes", [](B& b) { b.tail = "x"; }},
    {"a kilobyte more", "goes on for 1024 bytes", [](B& b) { b.tail = std::string(1024, '\0'); }},
};

TEST(Ct2, BadFilesAreRefusedWithTheirReason) {
  EXPECT_TRUE(parse_copy(sound().bytes(), sound().bytes().size()).ok());
  for (const Bad& bad : kBad) {
    Ct2Builder b = sound();
    bad.change(b);
    const std::string bytes = b.bytes();
    auto file = parse_copy(bytes, bytes.size());
    EXPECT_FALSE(file.ok()) << bad.name;
    if (file.ok()) continue;
    expect_sensible(file.error(), bad.name);
    EXPECT_NE(file.error().str().find(bad.expect), std::string::npos) << bad.name << ": " << file.error().str();
  }
}

TEST(Ct2, EveryTruncationIsRefused) {
  const std::string whole = sound().bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    auto file = parse_copy(whole, size);
    ASSERT_FALSE(file.ok()) << size;
    expect_sensible(file.error(), "first " + std::to_string(size) + " bytes");
  }
}

TEST(Ct2, EveryFlippedBitIsSurvived) {
  const std::string whole = sound().bytes();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << (bit % 8));
    auto file = parse_copy(bytes, bytes.size());
    if (!file.ok()) expect_sensible(file.error(), "bit " + std::to_string(bit));
  }
}

}  // namespace
}  // namespace miao::io
