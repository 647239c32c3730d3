// Files of SafetensorsWriter and the side files of directories.
#include "io/safetensors_writer.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "io/checkpoint.h"
#include "io/side_files.h"
#include "io/testing.h"

namespace miao::io {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

ptrdiff_t files_in(const fs::path& folder) { return std::distance(fs::directory_iterator(folder), {}); }

Json header_of(const fs::path& path) {
  const std::string bytes = *read_file(path);
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  return Json::parse(bytes.substr(sizeof size, size));
}

TEST(SafetensorsWriter, TensorsOfEveryTypeArriveWithTheirChecksums) {
  const TempDir dir;
  std::vector<TensorInfo> tensors;
  std::string sums;
  const auto data = [](const Format& f) { return std::string(static_cast<size_t>(6 * f.bytes), f.name[1]); };
  for (const Format& f : all_formats()) {
    if (f.block != 1) continue;
    tensors.push_back({std::string("t.") + f.name, f.dtype, {2, 3}});
    sums += (sums.empty() ? "" : " ") + sha256_hex(data(f));
  }
  tensors.push_back({"none", DType::f32, {0, 4}});
  tensors.push_back({"n\"o\\n\xc3\xa9", DType::u8, {}});
  sums += " " + sha256_hex("") + " " + sha256_hex("x");
  auto out = SafetensorsWriter::create(dir / "model.safetensors", {{"note", "a \"quoted\" one"}}, tensors);
  ASSERT_TRUE(out.ok()) << out.error().str();
  for (const Format& f : all_formats()) {
    if (f.block != 1) continue;
    const std::string bytes = data(f), name = std::string("t.") + f.name;
    ASSERT_TRUE(out->write(name, bytes_of(bytes.substr(0, 1))).ok());
    ASSERT_TRUE(out->write(name, bytes_of(bytes.substr(1))).ok());
  }
  ASSERT_TRUE(out->write("n\"o\\n\xc3\xa9", bytes_of("x")).ok());
  ASSERT_TRUE(out->finish().ok());
  ASSERT_TRUE(out->commit().ok());

  const auto read = Checkpoint::open(dir / "model.safetensors");
  ASSERT_TRUE(read.ok()) << read.error().str();
  ASSERT_EQ(read->tensors().size(), tensors.size());
  EXPECT_EQ(*read->meta().string("format"), "pt");
  EXPECT_EQ(*read->meta().string("note"), "a \"quoted\" one");
  EXPECT_EQ(*read->meta().string("miao.sha256.tensors"), sums);
  for (const TensorInfo& t : tensors) {
    const TensorView* found = read->find(t.name);
    ASSERT_NE(found, nullptr) << t.name;
    EXPECT_EQ(found->dtype, t.dtype);
    EXPECT_EQ(found->shape, t.shape);
    if (t.name.starts_with("t.")) {
      const std::string bytes(reinterpret_cast<const char*>(found->data), found->bytes);
      EXPECT_EQ(bytes, data(format(t.dtype)));
    }
  }
  // The header names them in the order of their data and is a multiple of 8, as its reference writes it.
  const Json header = header_of(dir / "model.safetensors");
  size_t i = 0;
  for (const auto& [name, entry] : header.items()) {
    if (i > 0) {
      EXPECT_EQ(name, tensors[i - 1].name);
    }
    ++i;
  }
  EXPECT_EQ((read->find("t.F32")->data - read->tensors()[0].data) % 8, 0);
}

TEST(SafetensorsWriter, WhatIsReservedIsPatchedBehindTheData) {
  const TempDir dir;
  const fs::path path = dir / "model.safetensors";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  auto out =
      SafetensorsWriter::create(path, {{"canary", "0000", true}, {"more", "b\n"}}, {{"a", DType::u8, {3}}}, nullptr);
  ASSERT_TRUE(out.ok());
  ASSERT_TRUE(out->write("a", bytes_of("xyz")).ok());
  ASSERT_TRUE(out->finish().ok());
  EXPECT_EQ(Checkpoint::open(out->readable())->find("a")->bytes, 3u);
  EXPECT_THROW((void)out->commit(), Bug);
  EXPECT_THROW((void)out->patch("canary", "12345"), Bug);
  EXPECT_THROW((void)out->patch("canary", "12\"4"), Bug);
  ASSERT_TRUE(out->patch("canary", "1234").ok());
  EXPECT_EQ(*read_file(path), "old");
  ASSERT_TRUE(out->commit().ok());
  const auto read = Checkpoint::open(path);
  EXPECT_EQ(*read->meta().string("canary"), "1234");
  EXPECT_EQ(*read->meta().string("more"), "b\n");
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(SafetensorsWriter, WhatTheFormatCannotHoldIsAnError) {
  const TempDir dir;
  const auto expect = [&](std::vector<TensorInfo> tensors, const char* what) {
    const auto out = SafetensorsWriter::create(dir / "m", {}, std::move(tensors));
    ASSERT_FALSE(out.ok()) << what;
    EXPECT_NE(out.error().str().find(what), std::string::npos) << out.error().str();
  };
  expect({{"", DType::f32, {1}}}, "must not be empty");
  expect({{std::string(4097, 'n'), DType::f32, {1}}}, "more than 4096 bytes");
  expect({{"__metadata__", DType::f32, {1}}}, "name of the metadata");
  expect({{"a", DType::f32, {1}}, {"a", DType::f32, {1}}}, "two tensors");
  expect({{"a", DType::f32, std::vector<int64_t>(9, 1)}}, "more than 8 dimensions");
  expect({{"a", DType::q8_0, {32}}}, "no type Q8_0");
  EXPECT_EQ(files_in(dir.path()), 0);
}

TEST(SideFiles, ComeAlongWithoutWeights) {
  const TempDir dir;
  const fs::path from = dir / "from", to = dir / "to";
  for (const char* folder : {"from", "from/1_Pooling", "from/onnx", "from/additional_chat_templates"})
    fs::create_directory(dir / folder);
  const char* const kept[] = {"1_Pooling/config.json", "LICENSE",       "additional_chat_templates/rag.jinja",
                              "chat_template.jinja",   "config.json",   "modules.json",
                              "spiece.model",          "tokenizer.json"};
  const char* const left[] = {"model.safetensors", "model.safetensors.index.json",
                              "pytorch_model.bin", ".gitattributes",
                              "onnx/config.json",  "1_Pooling/x.safetensors"};
  for (const char* name : kept) ASSERT_TRUE(write_file_atomic(from / name, std::string("of ") + name).ok());
  for (const char* name : left) ASSERT_TRUE(write_file_atomic(from / name, "x").ok());
  ASSERT_TRUE(
      write_file_atomic(from / "modules.json", R"([{"path":""},{"path":"1_Pooling/"},{"path":"../x"},{}])").ok());
  const std::string_view own[] = {"config.json"};
  auto done = copy_side_files(from, to, own);
  ASSERT_TRUE(done.ok()) << done.error().str();
  std::sort(done->begin(), done->end());
  std::vector<std::string> want(std::begin(kept), std::end(kept));
  std::erase(want, "config.json");
  EXPECT_EQ(*done, want);
  EXPECT_EQ(*read_file(to / "spiece.model"), "of spiece.model");
  EXPECT_EQ(*read_file(to / "1_Pooling/config.json"), "of 1_Pooling/config.json");
  EXPECT_FALSE(fs::exists(to / "config.json"));
  EXPECT_FALSE(fs::exists(to / "onnx"));
}

TEST(SideFiles, FoldersThatCannotBeAreErrors) {
  const TempDir dir;
  fs::create_directory(dir / "from");
  EXPECT_EQ(copy_side_files(dir / "from", dir / "from/../from").error().code, Code::invalid);
  EXPECT_EQ(copy_side_files(dir / "absent", dir / "to").error().code, Code::io);
  EXPECT_EQ(copy_side_files(dir / "from", dir / "absent/to").error().code, Code::io);
}

}  // namespace
}  // namespace miao::io
