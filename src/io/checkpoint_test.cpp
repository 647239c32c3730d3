// Opening checkpoints: files, split sets, directories, side files, and what is said about files that are no model.
#include "io/checkpoint.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/env.h"
#include "io/testing.h"

namespace miao::io {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, std::string_view text) { ASSERT_TRUE(write_file_atomic(path, text).ok()); }

constexpr char kConfig[] = R"({"model_type":"llama","hidden_size":4,"rope_scaling":{"factor":2.0}})";

float value(const Checkpoint& c, std::string_view name, size_t index) {
  const TensorView* t = c.find(name);
  float out = -1;
  if (t) std::memcpy(&out, t->data + 4 * index, 4);
  return out;
}

// The Error's line of a failed open.
std::string refusal(const fs::path& path) {
  auto c = Checkpoint::open(path);
  return c.ok() ? "it opened" : c.error().str();
}
::testing::AssertionResult refused(const fs::path& path, std::string_view because) {
  const std::string line = refusal(path);
  if (line.find(because) != std::string::npos && line.find('\n') == std::string::npos)
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << line << "' does not say '" << because << "'";
}

TEST(Checkpoint, GgufFile) {
  TempDir dir;
  ASSERT_TRUE(GgufBuilder()
                  .key("general.architecture", "llama")
                  .tensor("a", {2}, {1, 2})
                  .tensor("b", {1, 3}, {3, 4, 5})
                  .write(dir / "m.gguf")
                  .ok());
  write(dir / "tokenizer.json", "{}");
  auto opened = Checkpoint::open(dir / "m.gguf");
  ASSERT_TRUE(opened.ok()) << opened.error().str();
  const Checkpoint c = std::move(*opened);  // views stay valid over a move
  EXPECT_EQ(c.kind(), Checkpoint::Kind::gguf);
  EXPECT_EQ(c.path(), dir / "m.gguf");
  EXPECT_EQ(*c.meta().string("general.architecture"), "llama");
  EXPECT_EQ(c.tensors().size(), 2u);
  EXPECT_EQ(c.bytes(), 20u);
  EXPECT_EQ(value(c, "b", 2), 5.0f);
  EXPECT_EQ(c.find("c"), nullptr);
  EXPECT_EQ(c.find(""), nullptr);
  auto text = c.text_file("tokenizer.json");
  ASSERT_TRUE(text.ok());
  EXPECT_FALSE(text->has_value());
  EXPECT_THROW((void)c.text_file("../x"), Bug);
}

TEST(Checkpoint, MetaOutlivesTheCheckpoint) {
  TempDir dir;
  ASSERT_TRUE(GgufBuilder().key("k", "kept").write(dir / "m.gguf").ok());
  KeyValues meta;
  {
    auto c = Checkpoint::open(dir / "m.gguf");
    ASSERT_TRUE(c.ok());
    meta = c->meta();
  }
  EXPECT_EQ(*meta.string("k"), "kept");
}

TEST(Checkpoint, ReleasedPagesReadTheSame) {
  TempDir dir;
  std::vector<float> values(100000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  ASSERT_TRUE(GgufBuilder().tensor("a", {1000, 100}, values).write(dir / "m.gguf").ok());
  auto c = Checkpoint::open(dir / "m.gguf");
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(value(*c, "a", 50000), 50000.0f);
  const TensorView& a = *c->find("a");
  c->release({a.data, static_cast<size_t>(a.bytes)});
  EXPECT_EQ(value(*c, "a", 50000), 50000.0f);
  c->release({});
}

TEST(Checkpoint, VocabularyOnlyGguf) {
  TempDir dir;
  ASSERT_TRUE(
      GgufBuilder().array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"}).write(dir / "vocab.gguf").ok());
  auto c = Checkpoint::open(dir / "vocab.gguf");
  ASSERT_TRUE(c.ok()) << c.error().str();
  EXPECT_TRUE(c->tensors().empty());
  EXPECT_EQ(c->bytes(), 0u);
  EXPECT_EQ((*c->meta().strings("tokenizer.ggml.tokens"))->size(), 2u);
}

// Parts of a split model with the tensors t0, t1, ...
void write_parts(const fs::path& dir, int parts, uint16_t declared_count, int32_t declared_tensors) {
  for (int i = 0; i < parts; ++i) {
    GgufBuilder b;
    if (i == 0) b.key("general.architecture", "llama").key("split.tensors.count", declared_tensors);
    b.key("split.no", static_cast<uint16_t>(i)).key("split.count", declared_count);
    b.tensor("t" + std::to_string(i), {1}, {static_cast<float>(i)});
    const std::string name = "m-0000" + std::to_string(i + 1) + "-of-0000" + std::to_string(parts) + ".gguf";
    ASSERT_TRUE(b.write(dir / name).ok());
  }
}

TEST(Checkpoint, SplitGgufFromAnyPart) {
  TempDir dir;
  write_parts(dir.path(), 3, 3, 3);
  for (const char* name : {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf", ""}) {
    auto c = Checkpoint::open(dir / name);
    ASSERT_TRUE(c.ok()) << c.error().str();
    EXPECT_EQ(c->tensors().size(), 3u);
    EXPECT_EQ(value(*c, "t2", 0), 2.0f);
    EXPECT_EQ(*c->meta().string("general.architecture"), "llama");
  }
  auto c = Checkpoint::open(dir / "m-00002-of-00003.gguf");
  c->release({c->find("t1")->data, size_t{1} << 40});  // no further than the file
  EXPECT_EQ(value(*c, "t1", 0), 1.0f);
}

TEST(Checkpoint, SplitGgufThatDoesNotFit) {
  TempDir dir;
  write_parts(dir.path(), 3, 3, 3);
  fs::copy_file(dir / "m-00001-of-00003.gguf", dir / "renamed.gguf");
  EXPECT_TRUE(refused(dir / "renamed.gguf", "one of 3 parts"));
  fs::remove(dir / "m-00002-of-00003.gguf");
  EXPECT_TRUE(refused(dir / "m-00001-of-00003.gguf", "part 2 of 3"));
  fs::copy_file(dir / "m-00001-of-00003.gguf", dir / "m-00002-of-00003.gguf");
  EXPECT_TRUE(refused(dir / "m-00001-of-00003.gguf", "not what its name says"));
  write_parts(dir.path(), 3, 4, 3);
  EXPECT_TRUE(refused(dir / "m-00001-of-00003.gguf", "not what its name says"));
  write_parts(dir.path(), 3, 3, 4);
  EXPECT_TRUE(refused(dir / "m-00001-of-00003.gguf", "declares 4 tensors"));
  write_parts(dir.path(), 3, 3, 3);
  ASSERT_TRUE(GgufBuilder()
                  .key("split.no", uint16_t{1})
                  .key("split.count", uint16_t{3})
                  .tensor("t0", {1}, {1})
                  .write(dir / "m-00002-of-00003.gguf")
                  .ok());
  EXPECT_TRUE(refused(dir / "m-00001-of-00003.gguf", "\"t0\" is in two parts"));
  ASSERT_TRUE(SafetensorsBuilder().tensor("t1", {1}, {1}).write(dir / "m-00002-of-00003.gguf").ok());
  EXPECT_TRUE(refused(dir / "m-00001-of-00003.gguf", "of another format"));
}

TEST(Checkpoint, SafetensorsDirectory) {
  TempDir dir;
  write(dir / "config.json", kConfig);
  write(dir / "tokenizer.json", "{\"a\":1}");
  ASSERT_TRUE(SafetensorsBuilder().tensor("a", {2, 2}, {1, 2, 3, 4}).write(dir / "model.safetensors").ok());
  for (const fs::path& path : {dir.path(), dir / "model.safetensors"}) {
    auto c = Checkpoint::open(path);
    ASSERT_TRUE(c.ok()) << c.error().str();
    EXPECT_EQ(c->kind(), Checkpoint::Kind::safetensors);
    EXPECT_EQ(*c->meta().integer("hidden_size"), 4);
    EXPECT_EQ(*c->meta().number("rope_scaling.factor"), 2.0);
    EXPECT_EQ(value(*c, "a", 3), 4.0f);
    EXPECT_EQ(c->find("a")->shape, (std::vector<int64_t>{2, 2}));
    auto text = c->text_file("tokenizer.json");
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(**text, "{\"a\":1}");
    auto absent = c->text_file("chat_template.jinja");
    ASSERT_TRUE(absent.ok());
    EXPECT_FALSE(absent->has_value());
  }
}

TEST(Checkpoint, SideFilesThatAreNotText) {
  TempDir dir;
  write(dir / "config.json", kConfig);
  ASSERT_TRUE(SafetensorsBuilder().tensor("a", {1}, {1}).write(dir / "model.safetensors").ok());
  write(dir / "tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  fs::create_directory(dir / "generation_config.json");
  auto c = Checkpoint::open(dir.path());
  ASSERT_TRUE(c.ok()) << c.error().str();
  EXPECT_NE(c->text_file("tokenizer.json").error().str().find("Git LFS pointer"), std::string::npos);
  EXPECT_NE(c->text_file("generation_config.json").error().str().find("not a regular file"), std::string::npos);
}

TEST(Checkpoint, LoneSafetensorsHasItsOwnMetadata) {
  TempDir dir;
  SafetensorsBuilder b;
  b.metadata = R"({"format":"pt"})";
  ASSERT_TRUE(b.tensor("a", {1}, {1}).write(dir / "lone.safetensors").ok());
  auto c = Checkpoint::open(dir / "lone.safetensors");
  ASSERT_TRUE(c.ok()) << c.error().str();
  EXPECT_EQ(*c->meta().string("format"), "pt");
}

constexpr char kIndex[] = "model.safetensors.index.json";
constexpr char kShard1[] = "model-00001-of-00002.safetensors", kShard2[] = "model-00002-of-00002.safetensors";

void write_shards(const TempDir& dir) {
  write(dir / "config.json", kConfig);
  ASSERT_TRUE(SafetensorsBuilder().tensor("a", {1}, {1}).tensor("b", {1}, {2}).write(dir / kShard1).ok());
  ASSERT_TRUE(SafetensorsBuilder().tensor("c", {1}, {3}).write(dir / kShard2).ok());
}
std::string index_of(std::string_view map) {
  return R"({"metadata":{"total_size":12},"weight_map":)" + std::string(map) + "}";
}
constexpr char kGoodMap[] =
    R"({"a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors"})";

TEST(Checkpoint, ShardedSafetensors) {
  TempDir dir;
  write_shards(dir);
  write(dir / kIndex, index_of(kGoodMap));
  for (const fs::path& path : {dir.path(), dir / kShard1, dir / kShard2}) {
    auto c = Checkpoint::open(path);
    ASSERT_TRUE(c.ok()) << c.error().str();
    EXPECT_EQ(c->tensors().size(), 3u);
    EXPECT_EQ(value(*c, "c", 0), 3.0f);
    EXPECT_EQ(c->bytes(), 12u);
    EXPECT_EQ(*c->meta().string("model_type"), "llama");
  }
}

TEST(Checkpoint, ShardsOfAHubCacheAreLinksToBlobs) {
  TempDir dir;
  fs::create_directories(dir / "blobs");
  fs::create_directories(dir / "snapshots/abc");
  write_shards(dir);
  for (const char* name : {kShard1, kShard2}) {
    fs::rename(dir / name, dir / "blobs" / name);
    fs::create_symlink(fs::path("../../blobs") / name, dir / "snapshots/abc" / name);
  }
  write(dir / "snapshots/abc/config.json", kConfig);
  write(dir / "snapshots/abc" / kIndex, index_of(kGoodMap));
  auto c = Checkpoint::open(dir / "snapshots/abc");
  ASSERT_TRUE(c.ok()) << c.error().str();
  EXPECT_EQ(value(*c, "b", 0), 2.0f);

  TempDir elsewhere;
  fs::rename(dir / "blobs" / kShard2, elsewhere / kShard2);
  fs::remove(dir / "snapshots/abc" / kShard2);
  fs::create_symlink(elsewhere / kShard2, dir / "snapshots/abc" / kShard2);
  EXPECT_TRUE(refused(dir / "snapshots/abc", "leaves the directory"));
}

TEST(Checkpoint, BadIndexes) {
  TempDir dir;
  write_shards(dir);
  const std::string one = R"("a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors")";
  const std::pair<std::string, const char*> cases[] = {
      {"", "not a JSON object"},
      {"[]", "not a JSON object"},
      {"{", "not a JSON object"},
      {"{}", "no object \"weight_map\""},
      {index_of("[]"), "no object \"weight_map\""},
      {index_of("{}"), "names no tensors"},
      {index_of(R"({"a":1})"), "not a string"},
      {index_of(R"({"a":null})"), "not a string"},
      {index_of("{" + one + R"(,"a":"model-00001-of-00002.safetensors"})"), "tensor \"a\" twice"},
      {index_of("{" + one + R"(,"\u0061":"model-00002-of-00002.safetensors"})"), "tensor \"a\" twice"},
      {R"({"weight_map":{},"weight_map":{"a":"model-00001-of-00002.safetensors"}})", "\"weight_map\" twice"},
      {R"({"metadata":{},"metadata":{},"weight_map":{"a":"model-00001-of-00002.safetensors"}})", "\"metadata\" twice"},
      {index_of(R"({"a":"../x.safetensors"})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":"sub/x.safetensors"})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":"/etc/x.safetensors"})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":"sub\\x.safetensors"})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":"x\u0000.safetensors"})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":""})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":".."})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":"config.json"})"), "not a plain .safetensors file name"},
      {index_of(R"({"a":"absent.safetensors"})"), "\"absent.safetensors\", which is missing"},
      {index_of("{" + one + "}"), "it opened"},  // the second shard is simply not part of the model
      {index_of(R"({"a":"model-00001-of-00002.safetensors"})"), "does not place tensor \"b\""},
      {index_of("{" + one + R"(,"c":"model-00001-of-00002.safetensors"})"), "which lacks it"},
      {index_of("{" + one + R"(,"c":"model-00002-of-00002.safetensors","d":"model-00002-of-00002.safetensors"})"),
       "places tensor \"d\""},
      {index_of(R"({"a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors",)"
                R"("c":"model-00002-of-00002.safetensors"})"),
       "does not place tensor"},
      {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
      {std::string(2000, '['), "not a JSON object"},
  };
  for (const auto& [text, because] : cases) {
    write(dir / kIndex, text);
    EXPECT_TRUE(refused(dir.path(), because)) << text;
  }
  ASSERT_TRUE(SafetensorsBuilder().tensor("a", {1}, {3}).write(dir / kShard2).ok());
  write(dir / kIndex, index_of("{" + one + "}"));
  EXPECT_TRUE(refused(dir.path(), "it opened"));
  fs::remove(dir / kIndex);
  EXPECT_TRUE(refused(dir / kShard1, "model.safetensors.index.json"));
  EXPECT_TRUE(refused(dir.path(), "neither model.safetensors nor"));
}

TEST(Checkpoint, EveryTruncationAndEveryFlippedBitOfAnIndex) {
  TempDir dir;
  write_shards(dir);
  const std::string whole = index_of(kGoodMap);
  for (size_t size = 0; size < whole.size(); ++size) {
    write(dir / kIndex, whole.substr(0, size));
    EXPECT_TRUE(refused(dir.path(), kIndex)) << size;
  }
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << (bit % 8));
    write(dir / kIndex, flipped);
    const auto c = Checkpoint::open(dir.path());
    if (c.ok()) {
      EXPECT_EQ(c->tensors().size(), 3u) << flipped;  // only what nobody reads has changed
    }
  }
}

TEST(Checkpoint, DirectoriesWithoutAModel) {
  TempDir dir;
  EXPECT_TRUE(refused(dir / "absent", "does not exist"));
  EXPECT_TRUE(refused(dir.path(), "holds no model"));
  write(dir / "config.json", kConfig);
  EXPECT_TRUE(refused(dir.path(), "no weights: model.safetensors is missing"));
  write(dir / "pytorch_model.bin", "x");
  EXPECT_TRUE(refused(dir.path(), "PyTorch pickles"));
  ASSERT_TRUE(SafetensorsBuilder().tensor("a", {1}, {1}).write(dir / "model.safetensors").ok());
  EXPECT_TRUE(refused(dir.path(), "it opened"));
  fs::remove(dir / "config.json");
  EXPECT_TRUE(refused(dir.path(), "config.json"));
  write(dir / "config.json", "{\"a\":1,\"a\":2}");
  EXPECT_TRUE(refused(dir.path(), "appears twice"));
}

TEST(Checkpoint, DirectoriesOfGguf) {
  TempDir dir;
  ASSERT_TRUE(GgufBuilder().tensor("a", {1}, {1}).write(dir / "x.gguf").ok());
  write(dir / "README.md", "text");
  EXPECT_TRUE(refused(dir.path(), "it opened"));
  ASSERT_TRUE(GgufBuilder().tensor("a", {1}, {1}).write(dir / "y.gguf").ok());
  EXPECT_TRUE(refused(dir.path(), "holds 2 GGUF models; give one of them, such as \"x.gguf\""));
  write(dir / "config.json", kConfig);
  ASSERT_TRUE(SafetensorsBuilder().tensor("a", {1}, {1}).write(dir / "model.safetensors").ok());
  auto c = Checkpoint::open(dir.path());
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->kind(), Checkpoint::Kind::safetensors);
}

TEST(Checkpoint, TheContentDecidesNotTheName) {
  TempDir dir;
  ASSERT_TRUE(GgufBuilder().tensor("a", {1}, {1}).write(dir / "named.safetensors").ok());
  ASSERT_TRUE(SafetensorsBuilder().tensor("a", {1}, {1}).write(dir / "named.gguf").ok());
  EXPECT_EQ(Checkpoint::open(dir / "named.safetensors")->kind(), Checkpoint::Kind::gguf);
  EXPECT_EQ(Checkpoint::open(dir / "named.gguf")->kind(), Checkpoint::Kind::safetensors);
}

TEST(Checkpoint, ForeignFilesAreNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "is empty"},
      {"x", "holds only 1 bytes"},
      {std::string(100, '\0'), "begins with zeros only"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "Git LFS pointer"},
      {"<!DOCTYPE html><html>", "web page"},
      {"\n  <html lang=en>not found", "web page"},
      {"<?xml version=\"1.0\"?><Error/>", "web page"},
      {"{\"error\":\"Repository not found\"}", "error answer from a server"},
      {"{\"model_type\":\"llama\", \"x\":1}", "JSON text"},
      {std::string("PK\x03\x04", 4) + std::string(30, 'x'), "PyTorch checkpoint"},
      {std::string("\x80\x02\x8a\x0alm", 6) + std::string(30, 'x'), "PyTorch checkpoint"},
      {"tjgg" + std::string(30, 'x'), "before GGUF"},
      {"FUGG" + std::string(30, 'x'), "big-endian"},
      {std::string("GGUF\0\0\0\3", 8) + std::string(30, '\0'), "big-endian"},
      {"\x89HDF\r\n\x1a\n" + std::string(30, 'x'), "HDF5"},
      {"\x1f\x8b\x08" + std::string(30, 'x'), "gzip"},
      {"\x28\xb5\x2f\xfd" + std::string(30, 'x'), "zstd"},
      {std::string("\xfd"
                   "7zXZ\0",
                   6) +
           std::string(30, 'x'),
       "xz"},
      {"7z\xbc\xaf\x27\x1c" + std::string(30, 'x'), "7z archive"},
      {std::string(257, 'x') + "ustar" + std::string(300, 'x'), "tar archive"},
      {"\x93NUMPY" + std::string(30, 'x'), "NumPy array"},
      {"some text that is nothing known", "neither GGUF nor safetensors nor CTranslate2 (it begins with \"some tex\")"},
      {std::string("\x01\x02\x1b[2J\xff\xfe", 8) + std::string(30, 'x'), "\\x1b[2J"},
  };
  TempDir dir;
  for (const char* name : {"m.gguf", "m.bin"}) {
    for (const auto& [bytes, because] : cases) {
      write(dir / name, bytes);
      EXPECT_TRUE(refused(dir / name, because)) << name;
    }
  }
  write(dir / "m.safetensors", "too short");
  EXPECT_TRUE(refused(dir / "m.safetensors", "header length"));
}

// The published SmolLM2-135M-Instruct in Q4_1, where the machine has it.
TEST(Checkpoint, RealSmolLm2) {
  const auto directory = env("MIAO_TEST_MODELS");
  const fs::path path = fs::path(directory.value_or("")) / "smollm2-q4_1.gguf";
  if (!directory || !fs::exists(path)) GTEST_SKIP() << "MIAO_TEST_MODELS has no smollm2-q4_1.gguf";
  auto c = Checkpoint::open(path);
  ASSERT_TRUE(c.ok()) << c.error().str();
  EXPECT_EQ(c->tensors().size(), 272u);
  EXPECT_EQ(*c->meta().string("general.architecture"), "llama");
  EXPECT_EQ((*c->meta().strings("tokenizer.ggml.tokens"))->size(), 49152u);
  const TensorView* embedding = c->find("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->dtype, DType::q8_0);
  EXPECT_EQ(embedding->shape, (std::vector<int64_t>{49152, 576}));
  EXPECT_EQ(c->find("blk.0.ffn_down.weight")->shape, (std::vector<int64_t>{576, 1536}));
  std::vector<float> row(576);
  format(embedding->dtype).decode(embedding->row(1), row.data(), 576);
  for (const float v : row) ASSERT_LT(std::abs(v), 10.0f);
}

TEST(Checkpoint, CTranslate2Directory) {
  TempDir dir;
  Ct2Builder model;
  model.variable("w", {3}, {1, 2, 3}).alias("v", "w");
  ASSERT_TRUE(model.write(dir / "model.bin").ok());
  EXPECT_TRUE(refused(dir.path(), "config.json: is missing"));
  write(dir / "config.json", R"({"lang_ids":[5,6],"a":{"b":true}})");
  write(dir / "tokenizer.json", "{}");
  for (const fs::path& path : {dir.path(), dir / "model.bin"}) {
    auto c = Checkpoint::open(path);
    ASSERT_TRUE(c.ok()) << c.error().str();
    EXPECT_EQ(c->kind(), Checkpoint::Kind::ct2);
    EXPECT_EQ(value(*c, "w", 1), 2.0f);
    EXPECT_EQ(value(*c, "v", 2), 3.0f);
    EXPECT_EQ(c->bytes(), 12u);
    EXPECT_EQ(*c->meta().string("ct2.spec"), "WhisperSpec");
    EXPECT_EQ(*c->meta().integer("ct2.revision"), 3);
    EXPECT_EQ((*c->meta().integers("lang_ids"))->at(1), 6);
    EXPECT_EQ(*c->meta().boolean("a.b"), true);
    EXPECT_EQ(**c->text_file("tokenizer.json"), "{}");
  }
  KeyValues meta;
  {
    auto c = Checkpoint::open(dir.path());
    ASSERT_TRUE(c.ok());
    meta = c->meta();
  }
  EXPECT_EQ(*meta.string("ct2.spec"), "WhisperSpec");  // text of the file, which the meta keeps
}

TEST(Checkpoint, CTranslate2DirectoriesThatAreWrong) {
  TempDir dir;
  write(dir / "config.json", R"({"ct2":{"spec":"Other"}})");
  ASSERT_TRUE(Ct2Builder().write(dir / "model.bin").ok());
  EXPECT_TRUE(refused(dir.path(), "must not set \"ct2.spec\""));
  write(dir / "config.json", "{}");
  write(dir / "model.bin", "");
  EXPECT_TRUE(refused(dir.path(), "model.bin: is empty"));
  write(dir / "model.bin", Ct2Builder().bytes().substr(0, 20));
  EXPECT_TRUE(refused(dir.path(), "model.bin: ends at byte 20, inside the header"));
  write(dir / "model.bin", std::string("\x80\x02", 2) + std::string(100, 'x'));
  EXPECT_TRUE(refused(dir.path(), "is a PyTorch checkpoint"));
  ASSERT_TRUE(GgufBuilder().key("general.architecture", "llama").write(dir / "m.gguf").ok());
  EXPECT_EQ(refusal(dir.path()), "it opened");
}

}  // namespace
}  // namespace miao::io
