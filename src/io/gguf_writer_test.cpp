// Files of GgufWriter: what is read back, what the format cannot hold, and that nothing half written is ever seen.
#include "io/gguf_writer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/check.h"
#include "base/file.h"
#include "base/sha256.h"
#include "io/checkpoint.h"
#include "io/testing.h"

namespace miao::io {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

ptrdiff_t files_in(const fs::path& folder) { return std::distance(fs::directory_iterator(folder), {}); }

std::string data_of(const TensorView& t) { return {reinterpret_cast<const char*>(t.data), t.bytes}; }

// Writes one tensor in pieces of seven bytes.
Result<void> stream(GgufWriter& out, const std::string& name, std::string_view data) {
  for (size_t at = 0; at < data.size(); at += 7) MIAO_CHECK_OK(out.write(name, bytes_of(data.substr(at, 7))));
  return {};
}

GgufBuilder every_type() {
  GgufBuilder b;
  b.key("general.architecture", "llama").key("a.u8", uint8_t{200}).key("a.i8", int8_t{-100});
  b.key("a.u16", uint16_t{60000}).key("a.i16", int16_t{-30000}).key("a.u32", uint32_t{4000000000u});
  b.key("a.i32", int32_t{-2000000000}).key("a.u64", uint64_t{INT64_MAX}).key("a.i64", int64_t{INT64_MIN});
  b.key("a.f32", 0.5f).key("a.f64", 1e300).key("a.yes", true).key("a.text", "caf\xc3\xa9").key("a.empty", "");
  b.array("l.bool", std::vector<bool>{true, false}).array("l.u8", std::vector<uint8_t>{1, 255});
  b.array("l.i8", std::vector<int8_t>{-1}).array("l.u64", std::vector<uint64_t>{7});
  b.array("l.f32", std::vector<float>{0.25f, -1.5f}).array("l.none", std::vector<std::string>{});
  return b.array("l.text", std::vector<std::string>{"a", "", "ccc"});
}

TEST(GgufWriter, KeysOfAFileArriveInTheirOrderAndTypes) {
  const TempDir dir;
  const GgufBuilder source = every_type();
  ASSERT_TRUE(source.write(dir / "a.gguf").ok());
  const auto read = Checkpoint::open(dir / "a.gguf");
  ASSERT_TRUE(read.ok());
  auto out = GgufWriter::create(dir / "b.gguf", GgufMetadata::of(*read), {});
  ASSERT_TRUE(out.ok()) << out.error().str();
  ASSERT_TRUE(out->finish().ok());
  ASSERT_TRUE(out->commit().ok());

  const auto again = Checkpoint::open(dir / "b.gguf");
  ASSERT_TRUE(again.ok()) << again.error().str();
  const auto keys = again->gguf_keys();
  ASSERT_EQ(keys.size(), source.keys.size() + 1);
  for (size_t i = 0; i < source.keys.size(); ++i) {
    EXPECT_EQ(keys[i].key, source.keys[i].name);
    EXPECT_EQ(static_cast<uint32_t>(keys[i].type), source.keys[i].type);
    const std::string value(reinterpret_cast<const char*>(keys[i].value.data()), keys[i].value.size());
    EXPECT_EQ(value, source.keys[i].value) << keys[i].key;
  }
  EXPECT_EQ(keys.back().key, kChecksumsKey);
}

TEST(GgufWriter, ValuesHaveTheTypesOfTheirFiles) {
  const GgufBuilder source = every_type();
  GgufMetadata keys;
  keys.set("general.architecture", "llama");
  keys.set("a.u8", uint8_t{200});
  keys.set("a.i8", int8_t{-100});
  keys.set("a.u16", uint16_t{60000});
  keys.set("a.i16", int16_t{-30000});
  keys.set("a.u32", uint32_t{4000000000u});
  keys.set("a.i32", int32_t{-2000000000});
  keys.set("a.u64", uint64_t{INT64_MAX});
  keys.set("a.i64", int64_t{INT64_MIN});
  keys.set("a.f32", 0.5f);
  keys.set("a.f64", 1e300);
  keys.set("a.yes", true);
  keys.set("a.text", std::string("caf\xc3\xa9"));
  keys.set("a.empty", std::string_view());
  keys.set("l.bool", std::vector<bool>{true, false});
  keys.set("l.u8", std::vector<uint8_t>{1, 255});
  keys.set("l.i8", std::vector<int8_t>{-1});
  keys.set("l.u64", std::vector<uint64_t>{7});
  keys.set("l.f32", std::vector<float>{0.25f, -1.5f});
  keys.set("l.none", std::vector<std::string>{});
  keys.set("l.text", std::vector<std::string>{"a", "", "ccc"});
  ASSERT_EQ(keys.entries().size(), source.keys.size());
  for (size_t i = 0; i < source.keys.size(); ++i) {
    EXPECT_EQ(keys.entries()[i].key, source.keys[i].name);
    EXPECT_EQ(static_cast<uint32_t>(keys.entries()[i].value.type()), source.keys[i].type) << source.keys[i].name;
    EXPECT_EQ(keys.entries()[i].value.bytes(), source.keys[i].value) << source.keys[i].name;
  }
}

TEST(GgufMetadata, SetsReplacesAndErases) {
  GgufMetadata keys;
  keys.set("a", uint32_t{1});
  keys.set("b", uint32_t{2});
  keys.set("a", "text");
  ASSERT_EQ(keys.entries().size(), 2u);
  EXPECT_EQ(keys.entries()[0].key, "a");
  EXPECT_EQ(*keys.find("a"), GgufValue("text"));
  EXPECT_TRUE(keys.erase("a"));
  EXPECT_FALSE(keys.erase("a"));
  EXPECT_EQ(keys.find("a"), nullptr);
  EXPECT_EQ(*keys.find("b"), GgufValue(uint32_t{2}));
}

// What was true of the file alone does not come along.
TEST(GgufMetadata, PlaceChecksumsAndCanaryStayBehind) {
  const TempDir dir;
  GgufBuilder first, second;
  for (GgufBuilder* b : {&first, &second}) {
    b->key("split.no", static_cast<uint16_t>(b == &second)).key("split.count", uint16_t{2});
    b->key("split.tensors.count", int32_t{2}).key("general.name", b == &first ? "one" : "two");
    b->key("miao.canary.logits", "0").array("miao.sha256.tensors", std::vector<std::string>{"0"});
    b->tensor(b == &first ? "a" : "b", {1}, {1});
  }
  ASSERT_TRUE(first.write(dir / "m-00001-of-00002.gguf").ok());
  ASSERT_TRUE(second.write(dir / "m-00002-of-00002.gguf").ok());
  const auto read = Checkpoint::open(dir / "m-00002-of-00002.gguf");
  ASSERT_TRUE(read.ok()) << read.error().str();
  const GgufMetadata keys = GgufMetadata::of(*read);
  ASSERT_EQ(keys.entries().size(), 1u);
  EXPECT_EQ(*keys.find("general.name"), GgufValue("one"));
}

TEST(GgufWriter, TensorsOfEveryTypeArriveWithTheirChecksums) {
  for (const uint32_t alignment : {8u, 32u, 4096u}) {
    const TempDir dir;
    std::vector<TensorInfo> tensors;
    std::map<std::string, std::string> data;
    for (const Format& f : all_formats()) {
      if (f.gguf < 0) continue;
      tensors.push_back({std::string("t.") + f.name, f.dtype, {2, 3, f.block}});
      std::string& own = data[tensors.back().name];
      for (int i = 0; i < 6 * f.bytes; ++i) own += static_cast<char>(i * 7 % 60 + f.gguf);
    }
    tensors.push_back({"scalar", DType::f32, {}});
    data["scalar"] = le_bytes(3.5f);
    GgufMetadata keys;
    keys.set("general.alignment", alignment);
    auto out = GgufWriter::create(dir / "m.gguf", keys, tensors);
    ASSERT_TRUE(out.ok()) << out.error().str();
    for (const TensorInfo& t : tensors) ASSERT_TRUE(stream(*out, t.name, data[t.name]).ok());
    ASSERT_TRUE(out->finish().ok());
    ASSERT_TRUE(out->commit().ok());

    const auto read = Checkpoint::open(dir / "m.gguf");
    ASSERT_TRUE(read.ok()) << read.error().str();
    const auto sums = read->meta().strings(kChecksumsKey);
    ASSERT_TRUE(sums.ok());
    ASSERT_EQ(read->tensors().size(), tensors.size());
    ASSERT_EQ((*sums)->size(), tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      const TensorView& t = read->tensors()[i];
      EXPECT_EQ(t.name, tensors[i].name);
      EXPECT_EQ(t.dtype, tensors[i].dtype);
      EXPECT_EQ(t.shape, tensors[i].shape);
      EXPECT_EQ(data_of(t), data[t.name]) << t.name;
      EXPECT_EQ((**sums)[i], sha256_hex(data[t.name]));
    }
    EXPECT_EQ(fs::file_size(dir / "m.gguf") % alignment, 0u);
  }
}

TEST(GgufWriter, WhatIsReservedIsPatchedBehindTheData) {
  const TempDir dir;
  const fs::path path = dir / "m.gguf";
  ASSERT_TRUE(write_file_atomic(path, "old").ok());
  GgufMetadata keys;
  keys.set("general.architecture", "llama");
  keys.reserve("miao.canary.logits", std::string(64, '0'));
  keys.set("general.name", "behind");
  keys.reserve("numbers", std::vector<uint32_t>{0, 0});
  auto out = GgufWriter::create(path, keys, {{"a", DType::f32, {2}}});
  ASSERT_TRUE(out.ok()) << out.error().str();
  ASSERT_TRUE(out->write("a", bytes_of("12345678")).ok());
  ASSERT_TRUE(out->finish().ok());
  std::string digest;
  {
    const auto early = Checkpoint::open(out->readable());
    ASSERT_TRUE(early.ok()) << early.error().str();
    digest = sha256_hex(data_of(*early->find("a")));
    EXPECT_EQ(*early->meta().string("miao.canary.logits"), std::string(64, '0'));
    EXPECT_EQ((**early->meta().strings(kChecksumsKey))[0], digest);
  }
  EXPECT_THROW((void)out->commit(), Bug);  // something reserved is open
  EXPECT_THROW((void)out->patch("miao.canary.logits", "short"), Bug);
  EXPECT_THROW((void)out->patch("absent", "x"), Bug);
  EXPECT_THROW((void)out->patch("numbers", uint64_t{1}), Bug);
  ASSERT_TRUE(out->patch("miao.canary.logits", digest).ok());
  ASSERT_TRUE(out->patch("numbers", std::vector<uint32_t>{5, 6}).ok());
  EXPECT_EQ(*read_file(path), "old");
  ASSERT_TRUE(out->commit().ok());
  const auto read = Checkpoint::open(path);
  ASSERT_TRUE(read.ok()) << read.error().str();
  EXPECT_EQ(*read->meta().string("miao.canary.logits"), digest);
  EXPECT_EQ(*read->meta().string("general.name"), "behind");
  EXPECT_EQ(**read->meta().integers("numbers"), (KeyValues::Ints{5, 6}));
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(GgufWriter, WhatTheFormatCannotHoldIsAnError) {
  const TempDir dir;
  const auto error = [&](std::vector<TensorInfo> tensors, GgufMetadata keys = {}) {
    const auto out = GgufWriter::create(dir / "m.gguf", std::move(keys), std::move(tensors));
    return out.ok() ? std::string() : out.error().str();
  };
  const auto expect = [&](const std::string& text, const char* what) {
    EXPECT_NE(text.find("m.gguf: "), std::string::npos) << text;
    EXPECT_NE(text.find(what), std::string::npos) << text;
  };
  expect(error({{"", DType::f32, {1}}}), "must not be empty");
  expect(error({{"a\nb", DType::f32, {1}}}), "control characters");
  expect(error({{std::string(64, 'n'), DType::f32, {1}}}), "more than 63 bytes");
  expect(error({{"a", DType::f32, {1}}, {"a", DType::f32, {1}}}), "two tensors");
  expect(error({{"a", DType::f32, {1, 1, 1, 1, 1}}}), "more than 4 dimensions");
  expect(error({{"a", DType::f32, {2, 0}}}), "a dimension of 0");
  expect(error({{"a", DType::f32, {-1}}}), "below 0");
  expect(error({{"a", DType::f32, {int64_t{1} << 40, int64_t{1} << 40}}}), "too large");
  expect(error({{"a", DType::f32, {int64_t{1} << 62}}}), "too large");
  expect(error({{"a", DType::q8_0, {2, 33}}}), "not whole Q8_0 blocks of 32");
  expect(error({{"a", DType::boolean, {1}}}), "no type");
  for (const GgufValue& alignment : {GgufValue(uint32_t{48}), GgufValue(uint32_t{4}), GgufValue(uint64_t{32})}) {
    GgufMetadata keys;
    keys.set("general.alignment", alignment);
    expect(error({}, keys), "general.alignment");
  }
  EXPECT_EQ(files_in(dir.path()), 0);
  EXPECT_TRUE(error({{std::string(63, 'n'), DType::f32, {1, 1, 1, 1}}}).empty());
}

TEST(GgufWriter, TensorsThatAreNotAsDeclaredAreBugs) {
  const TempDir dir;
  auto out = GgufWriter::create(dir / "m.gguf", {}, {{"a", DType::f32, {2}}, {"b", DType::f32, {1}}});
  ASSERT_TRUE(out.ok());
  EXPECT_THROW((void)out->write("b", bytes_of("1234")), Bug);
  ASSERT_TRUE(out->write("a", bytes_of("1234")).ok());
  EXPECT_THROW((void)out->write("b", bytes_of("1234")), Bug);
  EXPECT_THROW((void)out->write("a", bytes_of("12345")), Bug);
  EXPECT_THROW((void)out->finish(), Bug);
  ASSERT_TRUE(out->write("a", bytes_of("5678")).ok());
  EXPECT_THROW((void)out->write("a", bytes_of("1")), Bug);
  EXPECT_THROW((void)out->finish(), Bug);
  EXPECT_THROW((void)out->commit(), Bug);
}

TEST(GgufWriter, WhatIsCancelledLeavesTheOldFile) {
  const TempDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "m.gguf", "old").ok());
  std::atomic<bool> cancel{false};
  {
    auto out = GgufWriter::create(dir / "m.gguf", {}, {{"a", DType::f32, {2}}}, &cancel);
    ASSERT_TRUE(out.ok());
    ASSERT_TRUE(out->write("a", bytes_of("1234")).ok());
    cancel = true;
    const auto r = out->write("a", bytes_of("5678"));
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, Code::cancelled);
  }
  EXPECT_EQ(*read_file(dir / "m.gguf"), "old");
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(GgufWriter, AProcessThatIsKilledLeavesTheOldFile) {
  const TempDir dir;
  if (!NamelessFile::create(dir.path()).ok()) GTEST_SKIP() << "files need a name here";
  ASSERT_TRUE(write_file_atomic(dir / "m.gguf", "old").ok());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto out = GgufWriter::create(dir / "m.gguf", {}, {{"a", DType::f32, {2}}});
    if (out.ok() && out->write("a", bytes_of("1234")).ok()) ::raise(SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(*read_file(dir / "m.gguf"), "old");
  EXPECT_EQ(files_in(dir.path()), 1);
}

TEST(GgufWriter, AFolderThatIsMissingIsToldBeforeAnyData) {
  const TempDir dir;
  const auto out = GgufWriter::create(dir / "absent/m.gguf", {}, {{"a", DType::f32, {2}}});
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().code, Code::not_found);
  EXPECT_NE(out.error().str().find("absent"), std::string::npos);
}

}  // namespace
}  // namespace miao::io
