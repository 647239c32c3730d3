// GGUF files that must be refused: a table of malformed files made by setting one field of a sound one to what no sound
// writer writes, every truncation, and every flipped bit. Each must end in an Error that says something sensible.
#include <gtest/gtest.h>

#include <set>

#include "io/files/format.h"
#include "io/testing.h"

namespace miao::io {
namespace {

Bytes view(const std::string& s) { return std::as_bytes(std::span(s)); }

struct BadFile {
  std::string name;
  std::string bytes;
  std::string expect;  // part of the Error's one line
};

GgufBuilder sound() {
  GgufBuilder b;
  b.key("general.architecture", "llama").key("llama.block_count", uint32_t{2});
  b.array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "bc", "def"});
  b.tensor("first", {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}).tensor("second", {5}, {1, 2, 3, 4, 5});
  return b;
}

constexpr uint64_t k31 = uint64_t{1} << 31, k32 = uint64_t{1} << 32, k63 = uint64_t{1} << 63;
constexpr uint64_t kMax = UINT64_MAX;

class Corpus {
 public:
  // `change` spoils a sound file.
  template <class Change>
  void add(std::string name, std::string expect, Change change) {
    GgufBuilder b = sound();
    change(b);
    files.push_back({std::move(name), b.bytes(), std::move(expect)});
  }
  template <class Change>  // change(builder, value), a file for each value
  void each(const std::string& name, std::initializer_list<uint64_t> values, const std::string& expect, Change change) {
    for (const uint64_t v : values)
      add(name + " = " + std::to_string(v), expect, [&](GgufBuilder& b) { change(b, v); });
  }
  std::vector<BadFile> files;
};

void headers(Corpus& c) {
  c.each("version", {0, 1, 4, 5, 255, 65535, k31 + 1, k32 - 1}, "GGUF version",
         [](auto& b, uint64_t v) { b.version = static_cast<uint32_t>(v); });
  c.each("version", {2u << 24, 3u << 24, 1u << 16}, "big-endian",
         [](auto& b, uint64_t v) { b.version = static_cast<uint32_t>(v); });
  c.each("tensor count", {1000, 1 << 20}, "incomplete", [](auto& b, uint64_t v) { b.tensor_count = v; });
  c.each("tensor count", {(1 << 20) + 1, k31, k32, kMax / 56, k63 - 1, k63, kMax - 1, kMax}, "tensors, more than",
         [](auto& b, uint64_t v) { b.tensor_count = v; });
  c.each("tensor count", {3, 4}, "", [](auto& b, uint64_t v) { b.tensor_count = v; });
  c.each("key count", {1000, 1 << 16}, "incomplete", [](auto& b, uint64_t v) { b.key_count = v; });
  c.each("key count", {(1 << 16) + 1, k31, k32, kMax / 56, k63 - 1, k63, kMax - 1, kMax}, "keys, more than",
         [](auto& b, uint64_t v) { b.key_count = v; });
  c.each("key count", {0, 1, 2, 4}, "", [](auto& b, uint64_t v) { b.key_count = v; });
  for (const char* magic : {"gguf", "GGML", "GGUG", "\0GUF"}) {
    c.add(std::string("magic ") + magic, "neither GGUF nor safetensors",
          [&](GgufBuilder& b) { b.magic = std::string(magic, 4); });
  }
  c.add("magic of the other byte order", "big-endian", [](GgufBuilder& b) { b.magic = "FUGG"; });
  c.add("magic of old GGML", "before GGUF", [](GgufBuilder& b) { b.magic = "tjgg"; });
}

void keys(Corpus& c) {
  c.each("key name bytes", {65536, k31, k32, k63 - 1, k63, kMax}, "the name of a key is",
         [](auto& b, uint64_t v) { b.keys[1].name_bytes = v; });
  c.each("key name bytes", {60000, 65535}, "incomplete", [](auto& b, uint64_t v) { b.keys[1].name_bytes = v; });
  c.each("key name bytes", {0, 1, 16, 18}, "", [](auto& b, uint64_t v) { b.keys[1].name_bytes = v; });
  c.add("empty key", "has the name", [](GgufBuilder& b) { b.keys[0].name = ""; });
  for (const std::string& name :
       {std::string("a\nb"), std::string("a\0b", 3), std::string("\x1b[2J"), std::string("a\x7f")}) {
    c.add("key with a control character", "control characters", [&](GgufBuilder& b) { b.keys[0].name = name; });
  }
  c.add("key twice", "\"general.architecture\" appears twice",
        [](GgufBuilder& b) { b.key("general.architecture", "x"); });
  c.add("key twice, other type", "\"llama.block_count\" appears twice",
        [](GgufBuilder& b) { b.key("llama.block_count", 1.0f); });
  c.each("value type", {13, 14, 99, 255, 256, k31 - 1, k31, k32 - 1}, "value type",
         [](auto& b, uint64_t v) { b.keys[1].type = static_cast<uint32_t>(v); });
  c.each("value type of another size", {0, 2, 7, 8, 9, 10, 12}, "",
         [](auto& b, uint64_t v) { b.keys[1].type = static_cast<uint32_t>(v); });

  c.each("string bytes", {(16 << 20) + 1, k31, k32, k63, kMax}, "over the limit of 16 MiB",
         [](auto& b, uint64_t v) { b.keys[0].value = le_bytes(v) + "llama"; });
  c.each("string bytes", {1000, 16 << 20}, "incomplete",
         [](auto& b, uint64_t v) { b.keys[0].value = le_bytes(v) + "llama"; });
  c.each("token bytes", {(16 << 20) + 1, k31, k63, kMax}, "over the limit of 16 MiB", [](auto& b, uint64_t v) {
    b.keys[2].value = le_bytes<uint32_t>(8) + le_bytes<uint64_t>(1) + le_bytes(v) + "a";
  });
  for (const int v : {2, 3, 127, 128, 255}) {
    c.add("boolean " + std::to_string(v), "boolean with the value", [&](GgufBuilder& b) {
      b.keys.push_back({"flag", 7, std::string(1, static_cast<char>(v)), {}});
    });
    c.add("boolean in an array " + std::to_string(v), "boolean with the value", [&](GgufBuilder& b) {
      b.keys.push_back({"flags", 9, le_bytes<uint32_t>(7) + le_bytes<uint64_t>(2) + '\1' + static_cast<char>(v), {}});
    });
  }
  c.each("u64", {k63, k63 + 1, kMax}, "more than 2^63 - 1", [](auto& b, uint64_t v) { b.key("big", v); });
  c.each("u64 in an array", {k63, kMax}, "more than 2^63 - 1", [](auto& b, uint64_t v) {
    b.array("big", std::vector<uint64_t>{1, v});
  });
}

void arrays(Corpus& c) {
  c.each("array element type", {13, 14, 99, k31, k32 - 1}, "value type", [](auto& b, uint64_t v) {
    b.keys[2].value = le_bytes(static_cast<uint32_t>(v)) + le_bytes<uint64_t>(1) + std::string(16, '\0');
  });
  c.add("array of arrays", "arrays within an array", [](GgufBuilder& b) {
    b.keys[2].value = le_bytes<uint32_t>(9) + le_bytes<uint64_t>(1) + le_bytes<uint32_t>(4) + le_bytes<uint64_t>(0);
  });
  for (uint32_t type = 0; type < 13; ++type) {
    if (type == 9) continue;
    auto set = [type](auto& b, uint64_t v) { b.keys[2].value = le_bytes(type) + le_bytes(v) + std::string(8, '\0'); };
    const std::string name = "array count of type " + std::to_string(type);
    c.each(name, {1000, 1 << 24}, "incomplete", set);
    c.each(name, {(1 << 24) + 1, k31, k32, kMax / 8, k63 - 1, k63, kMax - 1, kMax}, "over the limit", set);
  }
  c.add("two arrays over the limit together", "over the limit", [](GgufBuilder& b) {
    b.array("bytes", std::vector<uint8_t>((1 << 24) - 3));
    b.array("more", std::vector<uint8_t>(1));
  });
}

void alignments(Corpus& c) {
  c.each("alignment", {0, 1, 2, 3, 4, 7, 24, 31, 33, 48, 65535, 1 << 17, k31, k32 - 1}, "power of two",
         [](auto& b, uint64_t v) { b.key("general.alignment", static_cast<uint32_t>(v)); });
  c.add("alignment of type u8", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", uint8_t{32}); });
  c.add("alignment of type u16", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", uint16_t{32}); });
  c.add("alignment of type i32", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", int32_t{32}); });
  c.add("alignment of type u64", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", uint64_t{32}); });
  c.add("alignment of type i64", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", int64_t{32}); });
  c.add("alignment of type f32", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", 32.0f); });
  c.add("alignment of type bool", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", true); });
  c.add("alignment as text", "unsigned 32-bit", [](GgufBuilder& b) { b.key("general.alignment", "32"); });
  c.add("alignment as array", "unsigned 32-bit",
        [](GgufBuilder& b) { b.array("general.alignment", std::vector<uint32_t>{32}); });
  c.add("alignment larger than the layout", "not a multiple of the alignment",
        [](GgufBuilder& b) { b.key("general.alignment", uint32_t{64}); });
  c.add("alignment smaller than the layout", "is next", [](GgufBuilder& b) {
    b.key("general.alignment", uint32_t{8});
    b.tensors[0].ne = {4, 1};
    b.tensors[0].data.resize(16);
  });
}

void shapes(Corpus& c) {
  c.each("tensor name bytes", {64, 65, 65536, k31, k32, k63, kMax}, "the name of a tensor is",
         [](auto& b, uint64_t v) { b.tensors[1].name_bytes = v; });
  c.each("tensor name bytes", {0, 1, 5, 7, 63}, "", [](auto& b, uint64_t v) { b.tensors[1].name_bytes = v; });
  c.add("empty tensor name", "has the name", [](GgufBuilder& b) { b.tensors[0].name = ""; });
  c.add("tensor name of 64 bytes", "more than 63", [](GgufBuilder& b) { b.tensors[0].name = std::string(64, 'n'); });
  c.add("tensor name with a line break", "control characters", [](GgufBuilder& b) { b.tensors[0].name = "a\nb"; });
  c.add("tensor name with a NUL", "control characters",
        [](GgufBuilder& b) { b.tensors[0].name = std::string("a\0b", 3); });
  c.add("tensor twice", "\"first\" appears twice", [](GgufBuilder& b) { b.tensors[1].name = "first"; });
  c.each("dimensions", {5, 6, 9, 255, k31 - 1, k31, k32 - 1}, "dimensions, more than 4",
         [](auto& b, uint64_t v) { b.tensors[0].dims = static_cast<uint32_t>(v); });
  c.each("dimensions", {0, 1, 3, 4}, "", [](auto& b, uint64_t v) { b.tensors[0].dims = static_cast<uint32_t>(v); });
  for (const size_t axis : {size_t{0}, size_t{1}}) {
    const std::string name = "ne[" + std::to_string(axis) + "]";
    c.each(name, {0, k63, k63 + 4, kMax - 3, kMax}, "dimension",
           [&](auto& b, uint64_t v) { b.tensors[0].ne[axis] = v; });
    c.each(name, {k63 - 4}, "", [&](auto& b, uint64_t v) { b.tensors[0].ne[axis] = v; });
    c.each(name, {8, 1000, k31, k32, uint64_t{1} << 40}, "the data of tensor", [&](auto& b, uint64_t v) {
      b.tensors[0].ne[axis] = v;
      b.tensors.resize(1);
    });
    c.each(name, {5, 9, 100, k32}, "tensor \"", [&](auto& b, uint64_t v) { b.tensors[0].ne[axis] = v; });
  }
  const std::vector<std::vector<uint64_t>> huge = {{k32, k32},
                                                   {k31, k31, 4},
                                                   {65536, 65536, 65536, 65536},
                                                   {uint64_t{1} << 62, 2},
                                                   {3, k63 - 1},
                                                   {k32, k31, 1, 2},
                                                   {uint64_t{1} << 40, uint64_t{1} << 40, 1},
                                                   {k63 - 1, k63 - 1, k63 - 1, k63 - 1}};
  for (const auto& ne : huge) {
    c.add("a shape whose product wraps", "too large", [&](GgufBuilder& b) { b.tensors[0].ne = ne; });
  }
  for (const uint64_t ne : {uint64_t{1} << 62, (uint64_t{1} << 62) + 4, k63 - 4}) {
    c.add("a size in bytes that wraps", "too large to count its bytes",
          [&](GgufBuilder& b) { b.tensors[0].ne = {ne}; });
  }
}

void types(Corpus& c) {
  c.each("type", {43, 44, 64, 99, 255, 256, 1000, k31 - 1, k31, k32 - 1}, "miao does not know",
         [](auto& b, uint64_t v) { b.tensors[0].type = static_cast<uint32_t>(v); });
  c.each("removed type", {4, 5, 31, 32, 33, 36, 37, 38}, "GGUF no longer has",
         [](auto& b, uint64_t v) { b.tensors[0].type = static_cast<uint32_t>(v); });
  c.each("foreign type", {9, 15, 16, 17, 18, 19, 21, 22, 29, 34, 35, 40, 41, 42}, "miao does not read",
         [](auto& b, uint64_t v) { b.tensors[0].type = static_cast<uint32_t>(v); });
  for (const Format& f : all_formats()) {
    if (f.block == 1) continue;
    for (const int n : {1, f.block / 2, f.block - 1, f.block + 1}) {
      c.add(std::string("row of ") + std::to_string(n) + " in " + f.name, "blocks of", [&](GgufBuilder& b) {
        b.tensors[0].type = static_cast<uint32_t>(f.gguf);
        b.tensors[0].ne = {static_cast<uint64_t>(n), static_cast<uint64_t>(f.block)};
      });
    }
  }
}

void extents(Corpus& c) {
  c.each("first offset", {1, 4, 8, 16, 31, 33, kMax, kMax - 30}, "not a multiple of the alignment",
         [](auto& b, uint64_t v) { b.tensors[0].offset = v; });
  c.each("first offset", {32, 64, 96, k31, k32, k63, kMax - 31}, "0 is next",
         [](auto& b, uint64_t v) { b.tensors[0].offset = v; });
  c.each("second offset", {0, 64, 96, 128, k31, k63, kMax - 31}, "32 is next",
         [](auto& b, uint64_t v) { b.tensors[1].offset = v; });
  c.add("tensors in the other order", "is next", [](GgufBuilder& b) {
    std::swap(b.tensors[0].offset, b.tensors[1].offset);
    b.tensors[0].offset = 32;
    b.tensors[1].offset = 0;
  });
  c.add("data short by one byte", "incomplete", [](GgufBuilder& b) { b.tensors[1].data.pop_back(); });
  c.add("no data", "incomplete", [](GgufBuilder& b) {
    b.tensors[0].data.clear();
    b.tensors[1].data.clear();
    b.tensors[1].offset = 32;
  });
  c.add("padded sizes that sum to 2^64 and more", "incomplete", [](GgufBuilder& b) {
    for (auto& t : b.tensors) t.ne = {(uint64_t{1} << 61) + 2};
    b.tensors[1].offset = (k63 + 8 + 31) / 32 * 32;
  });
  c.add("size near 2^64", "incomplete", [](GgufBuilder& b) {
    b.tensors[0].ne = {(uint64_t{1} << 62) - 1};
    b.tensors[1].offset = kMax - 31;
  });
}

std::vector<BadFile> corpus() {
  Corpus c;
  headers(c);
  keys(c);
  arrays(c);
  alignments(c);
  shapes(c);
  types(c);
  extents(c);
  return std::move(c.files);
}

void expect_sensible(const Error& error, const std::string& name) {
  const std::string line = error.str();
  EXPECT_EQ(line.find_first_of(std::string("\n\r\0\x1b", 4)), std::string::npos) << name << ": " << line;
  EXPECT_EQ(line.rfind("m.gguf", 0), 0u) << name << ": " << line;
  EXPECT_GT(error.message.size(), 15u) << name << ": " << line;
  EXPECT_LT(line.size(), 500u) << name << ": " << line;
}

TEST(GgufBad, TheFileTheyAreMadeFromIsSound) {
  const std::string bytes = sound().bytes();
  auto file = parse_gguf(view(bytes), "m.gguf");
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->tensors.size(), 2u);
}

TEST(GgufBad, EachIsRefusedWithItsReason) {
  const auto files = corpus();
  std::set<std::string> distinct;
  for (const BadFile& bad : files) {
    distinct.insert(bad.bytes);
    // A heap copy of the exact size, so that a sanitizer sees a read past the end.
    const std::vector<char> copy(bad.bytes.begin(), bad.bytes.end());
    auto file = parse_gguf(std::as_bytes(std::span(copy)), "m.gguf");
    EXPECT_FALSE(file.ok()) << bad.name;
    if (file.ok()) continue;
    expect_sensible(file.error(), bad.name);
    EXPECT_NE(file.error().str().find(bad.expect), std::string::npos) << bad.name << ": " << file.error().str();
  }
  EXPECT_GE(distinct.size(), 300u);
  RecordProperty("files", static_cast<int>(distinct.size()));
}

TEST(GgufBad, EveryTruncationIsRefused) {
  const std::string whole = sound().bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::vector<char> copy(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    auto file = parse_gguf(std::as_bytes(std::span(copy)), "m.gguf");
    ASSERT_FALSE(file.ok()) << size;
    expect_sensible(file.error(), "first " + std::to_string(size) + " bytes");
  }
}

TEST(GgufBad, EveryFlippedBitIsSurvived) {
  const std::string whole = sound().bytes();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<char> copy(whole.begin(), whole.end());
    copy[bit / 8] = static_cast<char>(copy[bit / 8] ^ 1 << (bit % 8));
    auto file = parse_gguf(std::as_bytes(std::span(copy)), "m.gguf");
    if (!file.ok()) {
      expect_sensible(file.error(), "bit " + std::to_string(bit));
      continue;
    }
    for (const TensorView& t : file->tensors) {  // what is accepted lies within the file
      const auto begin = static_cast<uint64_t>(reinterpret_cast<const char*>(t.data) - copy.data());
      ASSERT_LE(begin + t.bytes, copy.size()) << bit;
    }
  }
}

}  // namespace
}  // namespace miao::io
