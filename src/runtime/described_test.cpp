// Engines and encoders of models whose weights are not read: they say of memory and kernels what loaded ones say, for
// every golden model; and models of some of their blocks.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/check.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"
#include "runtime/testing.h"

namespace miao::runtime {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = fs::path(MIAO_SOURCE_DIR) / "tests/golden";

// Every folder there that holds a model, and every GGUF file in one.
std::vector<fs::path> models_in(const std::string& kind) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(kGolden / kind)) {
    if (!entry.is_directory()) continue;
    out.push_back(entry.path());
    for (const auto& file : fs::directory_iterator(entry.path()))
      if (file.path().extension() == ".gguf") out.push_back(file.path());
  }
  EXPECT_GT(out.size(), 5u);
  return out;
}

io::Checkpoint hollow(const fs::path& path) {
  const auto model = io::Checkpoint::open(path);
  EXPECT_TRUE(model.ok()) << model.error().str();
  return *model->hollow();
}

void expect_same(const MemoryReport& a, const MemoryReport& b) {
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.embedding, b.embedding);
  EXPECT_EQ(a.buffers, b.buffers);
  EXPECT_EQ(a.kv_per_token, b.kv_per_token);
}

void expect_same(const std::vector<KernelReport>& a, const std::vector<KernelReport>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].weights, b[i].weights);
    EXPECT_EQ(a[i].format, b[i].format);
    EXPECT_EQ(a[i].gemm, b[i].gemm);
    EXPECT_EQ(a[i].bytes, b[i].bytes);
  }
}

TEST(Described, SaysWhatALoadedEngineSays) {
  for (const std::string kind : {"models", "seq2seq"}) {
    for (const fs::path& path : models_in(kind)) {
      SCOPED_TRACE(path.string());
      EngineOptions options{.threads = 2};
      const auto loaded = Engine::open(path, options);
      ASSERT_TRUE(loaded.ok()) << loaded.error().str();
      options.weights = false;
      const auto described = Engine::open(hollow(path), options);
      ASSERT_TRUE(described.ok()) << described.error().str();
      expect_same((*described)->memory(), (*loaded)->memory());
      expect_same((*described)->kernels(), (*loaded)->kernels());
      EXPECT_EQ((*described)->ctx(), (*loaded)->ctx());
      EXPECT_EQ((*described)->kv_type(), (*loaded)->kv_type());
    }
  }
}

TEST(Described, SaysWhatALoadedEncoderSays) {
  for (const fs::path& path : models_in("encoders")) {
    SCOPED_TRACE(path.string());
    EncoderOptions options{.threads = 2};
    const auto loaded = Encoder::open(path, options);
    ASSERT_TRUE(loaded.ok()) << loaded.error().str();
    options.weights = false;
    const auto described = Encoder::open(hollow(path), options);
    ASSERT_TRUE(described.ok()) << described.error().str();
    expect_same((*described)->memory(), (*loaded)->memory());
    expect_same((*described)->kernels(), (*loaded)->kernels());
    const std::vector<int32_t> ids{1, 2, 3};
    const std::vector<EncoderInput> inputs(2, {.ids = ids});
    ASSERT_TRUE((*loaded)->run(inputs).ok());
    EXPECT_EQ((*described)->memory(2, 3).buffers, (*loaded)->memory().buffers);
  }
}

// What memory(sequences, positions) foretells is what there is behind as many.
TEST(Described, ForetellsTextsInUse) {
  const fs::path path = kGolden / "models/qwen2";
  const auto engine = Engine::open(path, {.threads = 1, .ctx = 192});
  ASSERT_TRUE(engine.ok());
  std::vector<Sequence> texts;
  std::vector<Slice> slices;
  const std::vector<int32_t> ids(130, 1);  // three pages
  for (int i = 0; i < 3; ++i) texts.push_back((*engine)->new_sequence());
  for (Sequence& text : texts) slices.push_back({&text, ids, Want::last});
  ASSERT_TRUE((*engine)->forward(slices).ok());
  const MemoryReport now = (*engine)->memory(), said = (*engine)->memory(3, 130);
  EXPECT_EQ(said.buffers, now.buffers);
  EXPECT_EQ(said.kv_reserved, 3 * 192 * now.kv_per_token);
  EXPECT_LE(said.kv_reserved, now.kv_reserved);  // which comes in slabs
  EXPECT_EQ((*engine)->memory(int64_t{1} << 40, int64_t{1} << 40).kv_reserved, INT64_MAX);
}

TEST(Described, CountsTheInputsOfEncoderDecoders) {
  EngineOptions options{.threads = 1};
  options.weights = false;
  const auto t5 = Engine::open(hollow(kGolden / "seq2seq/t5"), options);
  ASSERT_TRUE(t5.ok());
  const int64_t one = (*t5)->memory(1, 64).kv_reserved, alone = 64 * (*t5)->memory().kv_per_token;
  EXPECT_GT(one, alone);  // by the keys and values of the input
  EXPECT_EQ((*t5)->memory(5, 64).kv_reserved, 5 * one);
  const auto whisper = Engine::open(hollow(kGolden / "seq2seq/whisper"), options);
  ASSERT_TRUE(whisper.ok());
  EXPECT_GT((*whisper)->memory(0, 0).buffers, (*whisper)->memory().buffers);  // frames behind the first convolution
}

TEST(Described, MustNotRun) {
  EngineOptions options{.threads = 1};
  options.weights = false;
  const auto engine = Engine::open(hollow(kGolden / "models/llama"), options);
  ASSERT_TRUE(engine.ok());
  Sequence text = (*engine)->new_sequence();
  const std::vector<int32_t> ids{1};
  EXPECT_THROW((void)(*engine)->forward(text, ids), Bug);
}

TEST(SomeBlocks, AreSpreadAndRun) {
  const auto file = models::TinyModel{.layers = 7, .dtype = DType::q8_0}.gguf();
  const io::TempDir dir;
  ASSERT_TRUE(file.write(dir / "m.gguf").ok());
  EngineOptions options{.threads = 2};
  const auto whole = Engine::open(dir / "m.gguf", options);
  ASSERT_TRUE(whole.ok());
  options.blocks = 3;
  const auto some = Engine::open(dir / "m.gguf", options);
  ASSERT_TRUE(some.ok()) << some.error().str();
  EXPECT_EQ((*some)->spec().layers, 3);
  EXPECT_EQ((*some)->spec().kept, (std::vector<int64_t>{0, 2, 4}));
  std::set<std::string> read;
  (*some)->tap_reads([&](std::span<const Engine::Reader> readers, const float*, int64_t, int64_t, int64_t) {
    for (const Engine::Reader& r : readers) read.emplace(r.tensor);
  });
  Sequence text = (*some)->new_sequence();
  const std::vector<int32_t> ids{1, 2, 3};
  ASSERT_TRUE((*some)->forward(text, ids).ok());
  EXPECT_TRUE(read.contains("blk.4.ffn_down.weight"));
  EXPECT_FALSE(read.contains("blk.1.ffn_down.weight"));
  EXPECT_EQ((*some)->memory().kv_per_token, (*whole)->memory().kv_per_token / 7 * 3);
  options.blocks = 100;
  const auto all = Engine::open(dir / "m.gguf", options);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ((*all)->spec().layers, 7);
}

TEST(SomeBlocks, KeepWhatKindTheyAre) {
  models::ModelSpec spec;
  spec.layers = 6;
  spec.sliding = {true, true, true, true, true, false};
  spec.keep_blocks(2);
  EXPECT_EQ(spec.kept, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(spec.sliding, (std::vector<bool>{true, true}));
  EXPECT_TRUE(spec.rotated.empty());
}

TEST(Fill, PositionsAsIfWritten) {
  const auto engine = Engine::open(kGolden / "models/llama", {.threads = 1});
  ASSERT_TRUE(engine.ok());
  Sequence text = (*engine)->new_sequence();
  ASSERT_TRUE(text.fill(100).ok());
  EXPECT_EQ(text.size(), 100);
  const std::vector<int32_t> ids{1};
  ASSERT_TRUE((*engine)->forward(text, ids).ok());
  EXPECT_EQ(text.size(), 101);
}

}  // namespace
}  // namespace miao::runtime
