// The second start of a model, from its packed weights on disk, against the first.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/cpu.h"
#include "io/testing.h"
#include "kernels/kernels.h"
#include "models/testing.h"
#include "runtime/engine.h"

namespace miao::runtime {
namespace {

namespace fs = std::filesystem;
using models::TinyModel;

class PackedStart : public testing::Test {
 protected:
  struct Start {
    bool cached = false;
    std::vector<float> logits;
  };
  Start start(EngineOptions options = {}, bool keep = true) {
    options.threads = 2;
    if (keep) options.packs = folder_;
    Start out;
    auto engine = Engine::open(path_, options);
    EXPECT_TRUE(engine.ok()) << engine.error().str();
    if (!engine.ok()) return out;
    out.cached = (*engine)->memory().cached;
    EXPECT_GT((*engine)->memory().weights, 0);
    const std::vector<int32_t> ids = {1, 5, 9, 2, 7, 11, 3};
    Sequence sequence = (*engine)->new_sequence();
    const auto logits = (*engine)->forward(sequence, ids, Want::all);
    EXPECT_TRUE(logits.ok());
    for (int64_t i = 0; i < logits->rows(); ++i) {
      out.logits.insert(out.logits.end(), logits->row(i).begin(), logits->row(i).end());
    }
    return out;
  }
  void expect_start(bool cached, const Start& same, const EngineOptions& options = {}) {
    const Start got = start(options);
    EXPECT_EQ(got.cached, cached);
    EXPECT_EQ(got.logits, same.logits);
  }
  void write(const TinyModel& model) { ASSERT_TRUE(model.gguf().write(path_).ok()); }
  std::vector<fs::path> packs() const {
    std::vector<fs::path> out;
    if (!fs::exists(folder_)) return out;
    for (auto it = fs::directory_iterator(folder_); it != fs::directory_iterator(); ++it) out.push_back(it->path());
    return out;
  }

  io::TempDir dir_;
  fs::path path_ = dir_ / "tiny.gguf", folder_ = dir_ / "packed";
};

TEST_F(PackedStart, GivesTheSameLogits) {
  using Output = TinyModel::Output;
  const TinyModel all[] = {
      {.dtype = DType::q4_0},
      {.dtype = DType::q8_0, .v_dtype = DType::q4_1, .mixed = true, .output = Output::tied},
      {.dim = 256, .ffn = 256, .head_dim = 64, .dtype = DType::q4_k, .v_dtype = DType::q6_k, .mixed = true},
      {.dtype = DType::f16, .output = Output::copied},
      {.dtype = DType::f32},
      {.dtype = DType::q5_1, .experts = 4, .experts_used = 2},
  };
  for (const TinyModel& model : all) {
    write(model);
    for (const Compute compute : {Compute::automatic, Compute::f32}) {
      SCOPED_TRACE(std::string(format(model.dtype).name) + (compute == Compute::f32 ? " in FP32" : ""));
      const EngineOptions options{.compute = compute};
      const Start want = start(options, false);
      // Where FP32 decodes nothing, both ways of computing share their packed weights.
      const bool shared = compute == Compute::f32 && (model.dtype == DType::f32 || model.dtype == DType::f16);
      expect_start(shared, want, options);
      expect_start(true, want, options);
    }
  }
}

TEST_F(PackedStart, SharesPacksAmongInstructionSets) {
  write({.dtype = DType::q4_0});
  const kernels::Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  const int isas = kernels::available(cpu_features(), tables);
  const Start first = start({.isa = tables[0]->name});
  for (int i = 1; i < isas; ++i) expect_start(true, first, {.isa = tables[i]->name});
  EXPECT_EQ(packs().size(), 1u);
}

TEST_F(PackedStart, ADamagedPackIsMadeAnew) {
  write({.dtype = DType::q4_0});
  const Start want = start();
  ASSERT_EQ(packs().size(), 1u);
  std::string content = *read_file(packs()[0]);
  content[1000] ^= 16;
  ASSERT_TRUE(write_file_atomic(packs()[0], content).ok());
  expect_start(false, want);
  expect_start(true, want);
}

// One byte of one weight, and size and time of the file as before.
TEST_F(PackedStart, AChangedModelIsPackedAnew) {
  write({.dtype = DType::q4_0});
  const Start old = start();
  struct stat before {};
  ASSERT_EQ(::stat(path_.c_str(), &before), 0);
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-5, std::ios::end);
  const char byte = static_cast<char>(file.get() ^ 0x33);
  file.seekp(-5, std::ios::end);
  file.put(byte);
  file.close();
  const timespec times[2] = {before.st_mtim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  const Start want = start({}, false);
  EXPECT_NE(want.logits, old.logits);
  expect_start(false, want);
  expect_start(true, want);
}

TEST_F(PackedStart, KeepsNothingUnasked) {
  write({.dtype = DType::q4_0});
  start({}, false);
  EXPECT_FALSE(fs::exists(folder_));
  // A folder that cannot be made changes nothing.
  const Start want = start({}, false);
  folder_ = path_ / "packed";
  expect_start(false, want);
}

}  // namespace
}  // namespace miao::runtime
