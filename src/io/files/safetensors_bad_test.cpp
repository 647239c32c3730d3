// safetensors files that must be refused: headers, properties, names and extents that the format does not allow, every
// truncation and every flipped bit. Each must end in an Error that says something sensible.
#include <gtest/gtest.h>

#include <set>

#include "io/files/format.h"
#include "io/testing.h"

namespace miao::io {
namespace {

struct BadFile {
  std::string name;
  std::string bytes;
  std::string expect;  // part of the Error's one line
};

SafetensorsBuilder sound() {
  SafetensorsBuilder b;
  b.metadata = R"({"format":"pt"})";
  b.tensor("first", {2, 2}, {1, 2, 3, 4}).tensor("second", "I64", {1}, std::string(8, 'x'));
  b.tensor("third", "BF16", {3}, std::string(6, 'y'));
  return b;
}

class Corpus {
 public:
  template <class Change>
  void add(std::string name, std::string expect, Change change) {
    SafetensorsBuilder b = sound();
    change(b);
    files.push_back({std::move(name), b.bytes(), std::move(expect)});
  }
  std::vector<BadFile> files;
};

// JSON values that are neither text, nor whole numbers, nor arrays of two.
const char* const kOddValues[] = {"null",
                                  "true",
                                  "-1",
                                  "1.5",
                                  "1.0",
                                  "1e0",
                                  "1e400",
                                  "18446744073709551616",
                                  "-9223372036854775809",
                                  "{}",
                                  "[]",
                                  "[1]",
                                  "[[1]]",
                                  "\"1\"",
                                  "01",
                                  "+1",
                                  "0x1",
                                  "NaN",
                                  "1,"};

void headers(Corpus& c) {
  for (const uint64_t n : {uint64_t{0}, uint64_t{1}, uint64_t{7}, uint64_t{100'000'001}, uint64_t{1} << 31,
                           uint64_t{1} << 32, uint64_t{1} << 63, (uint64_t{1} << 63) - 1, UINT64_MAX - 7, UINT64_MAX}) {
    c.add("header length " + std::to_string(n), n > 100'000'000 ? "more than 100000000" : "header",
          [&](auto& b) { b.header_bytes = n; });
  }
  c.add("header longer than the file", "follow", [](auto& b) { b.header_bytes = 100'000'000; });
  c.add("header longer by one", "header", [](auto& b) { b.header_bytes = b.json().size() + 1; });
  c.add("header shorter by the bracket", "JSON", [](auto& b) { b.header_bytes = b.json().rfind('}'); });
  const std::string json = sound().json();
  const std::pair<const char*, std::string> texts[] = {
      {"an array", "[]"},
      {"text", "\"a\""},
      {"a number", "1"},
      {"nothing", ""},
      {"a bracket", "{"},
      {"[", "["},
      {"two documents", "{}{}"},
      {"trailing text", json + "x"},
      {"trailing NULs", json + std::string(4, '\0')},
      {"leading space", " " + json},
      {"byte order mark", "\xef\xbb\xbf" + json},
      {"single quotes", "{'a':1}"},
      {"trailing comma", "{\"__metadata__\":{},}"},
      {"comment", "{/*a*/}"},
      {"no colon", "{\"a\"}"},
      {"unquoted key", "{a:{}}"},
      {"unclosed text", "{\"a"},
      {"control character", "{\"a\n\":{}}"},
      {"invalid UTF-8 in a name", "{\"\xff\":{}}"},
      {"overlong UTF-8", "{\"\xc0\xaf\":{}}"},
      {"a surrogate in UTF-8", "{\"\xed\xa0\x80\":{}}"},
      {"a lone surrogate escape", "{\"\\ud800\":{}}"},
      {"a bad escape", "{\"\\x\":{}}"},
      {"a cut escape", "{\"\\u12\":{}}"},
      {"cut UTF-8", "{\"\xe2\x82\":{}}"},
      {"arrays 100000 deep", "{\"a\":" + std::string(100000, '[')},
      {"objects 100000 deep", "{\"a\":" +
                                  [] {
                                    std::string s;
                                    for (int i = 0; i < 100000; ++i) s += "{\"a\":";
                                    return s;
                                  }()},
      {"17 levels", "{\"a\":" + std::string(17, '[') + std::string(17, ']') + "}"},
      {"a tensor that is null", "{\"a\":null}"},
      {"a tensor that is text", "{\"a\":\"F32\"}"},
      {"a tensor that is a number", "{\"a\":1}"},
      {"a tensor that is an array", "{\"a\":[]}"}};
  for (const auto& [name, text] : texts) {
    c.add(std::string("header is ") + name, "", [&, t = text](auto& b) { b.header = t; });
  }
}

void properties(Corpus& c) {
  for (const char* value : kOddValues) {
    const std::string v = value;
    c.add("dtype " + v, "", [&](auto& b) { b.tensors[0].dtype = v; });
    c.add("shape " + v, "", [&](auto& b) { b.tensors[0].shape = v; });
    c.add("dimension " + v, "", [&](auto& b) { b.tensors[0].shape = "[4," + v + "]"; });
    c.add("data_offsets " + v, "", [&](auto& b) { b.tensors[0].offsets = v; });
    c.add("begin " + v, "", [&](auto& b) { b.tensors[0].offsets = "[" + v + ",16]"; });
    c.add("end " + v, "", [&](auto& b) { b.tensors[0].offsets = "[0," + v + "]"; });
    if (v == "\"1\"") continue;
    c.add("metadata of " + v, "", [&](auto& b) { b.metadata = "{\"format\":" + v + "}"; });
    if (v != "{}") c.add("metadata is " + v, "", [&](auto& b) { b.metadata = v; });
  }
  for (const char* name :
       {"F7", "", "f32", "F32 ", "F", "F128", "FP32", "Q4_0", "Q8_0", "MXFP4", "float32", "I4", "U4", "BF32", "bool"}) {
    c.add(std::string("dtype ") + name, "does not define",
          [&](auto& b) { b.tensors[0].dtype = '"' + std::string(name) + '"'; });
  }
  const std::pair<const char*, int> foreign[] = {{"F8_E4M3", 1}, {"F8_E5M2", 1},     {"F8_E8M0", 1},
                                                 {"U16", 2},     {"U32", 4},         {"U64", 8},
                                                 {"C64", 8},     {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1}};
  for (const auto& [name, bytes] : foreign) {
    c.add(std::string("dtype ") + name, "which miao does not read", [&, n = name, size = bytes](auto& b) {
      b.tensor("eight", n, {8}, std::string(8 * static_cast<size_t>(size), 'z'));
    });
  }
  c.add("dtype F4", "which miao does not read", [](auto& b) { b.tensor("t", "F4", {4}, "zz"); });
  c.add("dtype F6", "which miao does not read", [](auto& b) { b.tensor("t", "F6_E2M3", {4}, "zzz"); });
  c.add("odd count of F4", "whole bytes", [](auto& b) { b.tensor("t", "F4", {3}, "zz"); });
  c.add("odd count of F6", "whole bytes", [](auto& b) { b.tensor("t", "F6_E3M2", {5}, "zzzz"); });

  const std::string all[] = {R"("dtype":"F32")", R"("shape":[2,2])", R"("data_offsets":[0,16])"};
  const char* lacks[] = {"dtype", "shape", "data_offsets"};
  for (int i = 0; i < 3; ++i) {
    const std::string one = all[(i + 1) % 3], two = all[(i + 2) % 3];
    c.add(std::string("no ") + lacks[i], std::string("lacks its ") + lacks[i],
          [&](auto& b) { b.tensors[0].entry = '{' + one + ',' + two + '}'; });
    c.add(std::string("only ") + lacks[i], "lacks its", [&](auto& b) { b.tensors[0].entry = '{' + all[i] + '}'; });
    c.add(std::string("two of ") + lacks[i], std::string("has \"") + lacks[i] + "\" twice",
          [&](auto& b) { b.tensors[0].entry = '{' + all[i] + ',' + one + ',' + two + ',' + all[i] + '}'; });
  }
  c.add("empty description", "lacks its dtype", [](auto& b) { b.tensors[0].entry = "{}"; });
  c.add("an unknown property twice", "\"x\" twice",
        [&](auto& b) { b.tensors[0].entry = '{' + all[0] + ',' + all[1] + ',' + all[2] + R"(,"x":1,"x":2})"; });
  c.add("17 properties", "more than 16 properties", [&](auto& b) {
    std::string entry = '{' + all[0] + ',' + all[1] + ',' + all[2];
    for (int i = 0; i < 14; ++i) entry += ",\"p" + std::to_string(i) + "\":0";
    b.tensors[0].entry = entry + '}';
  });
  c.add("metadata key twice", "\"a\" twice", [](auto& b) { b.metadata = R"({"a":"1","a":"2"})"; });
  c.add("metadata twice", "\"__metadata__\" twice", [](auto& b) {
    b.header = R"({"__metadata__":{},"__metadata__":{}})";
    b.tensors.clear();
  });
  c.add("65537 entries of metadata", "more than 65536", [](auto& b) {
    b.metadata = "{";
    for (int i = 0; i < 65537; ++i) b.metadata += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"\"";
    b.metadata += "}";
  });
}

void names(Corpus& c) {
  c.add("tensor twice", "\"first\" twice", [](auto& b) { b.tensors[1].name = "first"; });
  c.add("tensor twice, escaped", "\"first\" twice", [](auto& b) { b.tensors[1].name = "\\u0066irst"; });
  c.add("empty name", "tensor name", [](auto& b) { b.tensors[0].name = ""; });
  c.add("name of 4097 bytes", "tensor name", [](auto& b) { b.tensors[0].name = std::string(4097, 'n'); });
  for (const char* name : {"a\\nb", "a\\u0000b", "\\u001b[2J", "\\r", "a\\u007f"}) {
    c.add(std::string("name with ") + name, "control characters", [&](auto& b) { b.tensors[0].name = name; });
  }
}

void shapes(Corpus& c) {
  for (const char* shape : {"[4294967296,4294967296]", "[18446744073709551615]", "[9223372036854775808]",
                            "[65536,65536,65536,65536]", "[4294967296,2147483648,1]", "[3,9223372036854775807]",
                            "[9223372036854775807,2,0]", "[18446744073709551615,0]", "[4611686018427387904,4]"}) {
    c.add(std::string("shape ") + shape, "too large to count", [&](auto& b) { b.tensors[0].shape = shape; });
  }
  c.add("bits that wrap", "too large to count", [](auto& b) { b.tensors[0].shape = "[4611686018427387904]"; });
  c.add("nine dimensions", "more than 8 dimensions", [](auto& b) { b.tensors[0].shape = "[1,1,1,1,1,1,1,2,2]"; });
  for (const char* shape : {"[]", "[0]", "[1]", "[3]", "[5]", "[2,3]", "[2,2,2]", "[1000000]", "[0,4]"}) {
    c.add(std::string("shape ") + shape, "bytes for its shape", [&](auto& b) { b.tensors[0].shape = shape; });
  }
}

void extents(Corpus& c) {
  for (const char* range : {"[0,0]", "[0,1]", "[0,8]", "[0,15]", "[0,17]", "[1,16]", "[16,16]", "[0,24]"}) {
    c.add(std::string("first at ") + range, "bytes for its shape", [&](auto& b) { b.tensors[0].offsets = range; });
  }
  for (const char* range :
       {"[16,0]", "[1,0]", "[15,31]", "[0,31]", "[14,30]", "[4294967296,4294967312]",
        "[9223372036854775807,9223372036854775823]", "[18446744073709551599,18446744073709551615]"}) {
    c.add(std::string("first at ") + range, "tensor \"first\"", [&](auto& b) { b.tensors[0].offsets = range; });
  }
  for (const char* range : {"[8,16]", "[15,23]", "[0,8]", "[17,25]", "[22,30]"}) {
    c.add(std::string("second at ") + range, "is next", [&](auto& b) { b.tensors[1].offsets = range; });
  }
  c.add("all on one range", "overlap", [](auto& b) {
    for (int i = 0; i < 3; ++i)
      b.tensors[static_cast<size_t>(i)] = {"t" + std::to_string(i),       "\"U8\"", "[16]",
                                           i ? "" : std::string(16, 'x'), "[0,16]", {}};
  });
  c.add("20000 on one range", "overlap", [](auto& b) {
    b.tensors.clear();
    for (int i = 0; i < 20000; ++i)
      b.tensors.push_back({"t" + std::to_string(i), "\"U8\"", "[16]", i ? "" : std::string(16, 'x'), "[0,16]", {}});
  });
  c.add("a hole at the start", "hole", [](auto& b) {
    b.tensors[0].offsets = "[1,17]";
    b.tensors[1].offsets = "[17,25]";
    b.tensors[2].offsets = "[25,31]";
    b.tail = "x";
  });
  c.add("a hole in the middle", "hole", [](auto& b) {
    b.tensors[2].offsets = "[25,31]";
    b.tail = "x";
  });
  c.add("trailing byte", "its tensors fill 30", [](auto& b) { b.tail = "x"; });
  c.add("trailing kilobyte", "its tensors fill 30", [](auto& b) { b.tail = std::string(1024, '\0'); });
  c.add("data without tensors", "fill 0", [](auto& b) { b.header = "{}"; });
  c.add("data short by one", "of 29 bytes of data", [](auto& b) {
    b.tensors[2].data.pop_back();
    b.tensors[2].offsets = "[24,30]";
  });
  c.add("no data", "of 0 bytes of data", [](auto& b) {
    const std::string json = b.json();
    for (auto& t : b.tensors) t.data.clear();
    b.header = json;
  });
}

std::vector<BadFile> corpus() {
  Corpus c;
  headers(c);
  properties(c);
  names(c);
  shapes(c);
  extents(c);
  return std::move(c.files);
}

void expect_sensible(const Error& error, const std::string& name) {
  const std::string line = error.str();
  EXPECT_EQ(line.find_first_of(std::string("\n\r\0\x1b", 4)), std::string::npos) << name << ": " << line;
  EXPECT_EQ(line.rfind("m.safetensors", 0), 0u) << name << ": " << line;
  EXPECT_GT(error.message.size(), 15u) << name << ": " << line;
  EXPECT_LT(line.size(), 500u) << name << ": " << line;
}

// On a heap copy of the exact size, so that a sanitizer sees a read past the end.
Result<ParsedFile> parse_copy(const std::vector<char>& copy) {
  return parse_safetensors(std::as_bytes(std::span(copy)), "m.safetensors");
}

TEST(SafetensorsBad, TheFileTheyAreMadeFromIsSound) {
  const std::string bytes = sound().bytes();
  auto file = parse_copy({bytes.begin(), bytes.end()});
  ASSERT_TRUE(file.ok()) << file.error().str();
  EXPECT_EQ(file->tensors.size(), 3u);
}

TEST(SafetensorsBad, EachIsRefusedWithItsReason) {
  std::set<std::string> distinct;
  for (const BadFile& bad : corpus()) {
    distinct.insert(bad.bytes);
    auto file = parse_copy({bad.bytes.begin(), bad.bytes.end()});
    EXPECT_FALSE(file.ok()) << bad.name;
    if (file.ok()) continue;
    expect_sensible(file.error(), bad.name);
    EXPECT_NE(file.error().str().find(bad.expect), std::string::npos) << bad.name << ": " << file.error().str();
  }
  EXPECT_GE(distinct.size(), 200u);
  RecordProperty("files", static_cast<int>(distinct.size()));
}

TEST(SafetensorsBad, EveryTruncationIsRefused) {
  const std::string whole = sound().bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    auto file = parse_copy({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    ASSERT_FALSE(file.ok()) << size;
    expect_sensible(file.error(), "first " + std::to_string(size) + " bytes");
  }
}

TEST(SafetensorsBad, EveryFlippedBitIsSurvived) {
  const std::string whole = sound().bytes();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<char> copy(whole.begin(), whole.end());
    copy[bit / 8] = static_cast<char>(copy[bit / 8] ^ 1 << (bit % 8));
    auto file = parse_copy(copy);
    if (!file.ok()) {
      expect_sensible(file.error(), "bit " + std::to_string(bit));
      continue;
    }
    uint64_t sum = 0;
    for (const TensorView& t : file->tensors) sum += t.bytes;
    ASSERT_EQ(sum, 30u) << bit;
  }
}

}  // namespace
}  // namespace miao::io
