// safetensors files that must load, and what arrives.
#include <gtest/gtest.h>

#include "io/files/format.h"
#include "io/testing.h"

namespace miao::io {
namespace {

Bytes view(const std::string& s) { return std::as_bytes(std::span(s)); }

TEST(Safetensors, EveryDtypeArrives) {
  const char* names[] = {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64", "U8", "BOOL"};
  SafetensorsBuilder b;
  for (const char* name : names) {
    const Format& f = format(*dtype_from_name(name));
    std::string data;
    for (int i = 0; i < 6 * f.bytes; ++i) data += static_cast<char>(i + name[0]);
    b.tensor(std::string("t.") + name, name, {2, 3}, data);
  }
  b.metadata = R"({"format":"pt","note":"\u00e9"})";
  const std::string bytes = b.bytes();
  auto file = parse_safetensors(view(bytes), "m.safetensors");
  ASSERT_TRUE(file.ok()) << file.error().str();
  ASSERT_EQ(file->tensors.size(), std::size(names));
  for (size_t i = 0; i < std::size(names); ++i) {
    const TensorView& t = file->tensors[i];
    EXPECT_EQ(t.name, std::string("t.") + names[i]);
    EXPECT_STREQ(format(t.dtype).name, names[i]);
    EXPECT_EQ(t.shape, (std::vector<int64_t>{2, 3}));
    ASSERT_EQ(t.bytes, b.tensors[i].data.size());
    EXPECT_EQ(std::memcmp(t.data, b.tensors[i].data.data(), t.bytes), 0);
  }
  EXPECT_EQ(*file->meta.string("format"), "pt");
  EXPECT_EQ(*file->meta.string("note"), "\xc3\xa9");
}

TEST(Safetensors, ScalarsEmptyTensorsAndAnyOrder) {
  SafetensorsBuilder b;
  b.tensor("late", {2}, {3, 4}).tensor("scalar", {}, {7}).tensor("empty", {0, 5}, {}).tensor("early", {1}, {1});
  b.tensors[0].offsets = "[8,16]";
  b.tensors[1].offsets = "[4,8]";
  b.tensors[2].offsets = "[8,8]";
  b.tensors[3].offsets = "[0,4]";
  const std::string bytes = b.bytes();
  auto file = parse_safetensors(view(bytes), "m.safetensors");
  ASSERT_TRUE(file.ok()) << file.error().str();
  std::vector<std::string> names;
  for (const TensorView& t : file->tensors) names.push_back(t.name);
  EXPECT_EQ(names, (std::vector<std::string>{"early", "scalar", "empty", "late"}));
  EXPECT_EQ(file->tensors[1].shape, std::vector<int64_t>{});
  EXPECT_EQ(file->tensors[2].elements(), 0);
  EXPECT_EQ(file->tensors[2].rows(), 0);
}

TEST(Safetensors, OddHeadersThatTheFormatAllows) {
  const std::string tensor = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  const std::string headers[] = {"{" + tensor + "}",
                                 "{" + tensor + "}  \n\t",
                                 "{ \n" + tensor + " }",
                                 R"({"\u0061":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}})",
                                 R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"comment":[null,{"b":1.5}]}})",
                                 R"({"__metadata__":{},)" + tensor + "}"};
  for (const std::string& header : headers) {
    SafetensorsBuilder b;
    b.header = header;
    b.tail = "x";
    const std::string bytes = b.bytes();
    auto file = parse_safetensors(view(bytes), "m.safetensors");
    ASSERT_TRUE(file.ok()) << header << ": " << file.error().str();
    EXPECT_EQ(file->tensors[0].name, "a");
    EXPECT_EQ(*file->tensors[0].data, std::byte{'x'});
  }
  SafetensorsBuilder none;
  none.header = "{}";
  EXPECT_TRUE(parse_safetensors(view(none.bytes()), "m.safetensors").ok());
}

}  // namespace
}  // namespace miao::io
