// The promises of Engine: the same bits whatever threads, chunks, neighbours and instruction set; errors that change
// nothing; rollback; reports.
#include "runtime/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>

#include "base/cpu.h"
#include "base/env.h"
#include "io/testing.h"
#include "kernels/kernels.h"
#include "models/spec.h"
#include "models/testing.h"
#include "runtime/batch.h"
#include "runtime/testing.h"

namespace miao::runtime {
namespace {

using kernels::KvType;
using models::TinyModel;
using Rows = std::vector<std::vector<float>>;

std::vector<int32_t> some_ids(int64_t n, int64_t vocab, uint32_t seed = 7) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<uint32_t>(vocab));
  return ids;
}

class File {
 public:
  explicit File(const TinyModel& model) { EXPECT_TRUE(model.gguf().write(path()).ok()); }
  std::filesystem::path path() const { return dir_ / "tiny.gguf"; }
  std::unique_ptr<Engine> open(const EngineOptions& options) const {
    auto engine = Engine::open(path(), options);
    EXPECT_TRUE(engine.ok()) << engine.error().str();
    return std::move(*engine);
  }

 private:
  io::TempDir dir_;
};

void append(Rows& rows, const Logits& logits) {
  for (int64_t i = 0; i < logits.rows(); ++i) rows.emplace_back(logits.row(i).begin(), logits.row(i).end());
}

Rows all_rows(Engine& engine, std::span<const int32_t> ids) {
  Sequence sequence = engine.new_sequence();
  auto logits = engine.forward(sequence, ids, Want::all);
  EXPECT_TRUE(logits.ok()) << logits.error().str();
  Rows rows;
  append(rows, *logits);
  return rows;
}

bool same_bits(const Rows& a, const Rows& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0)
      return false;
  }
  return true;
}

// Root of the mean square of the difference, of that of the exact values.
double error_of(const Rows& rows, const Rows& exact) {
  double error = 0, power = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    for (size_t j = 0; j < exact[i].size(); ++j) {
      error += std::pow(double{exact[i][j]} - double{rows[i][j]}, 2);
      power += std::pow(double{exact[i][j]}, 2);
    }
  }
  return std::sqrt(error / power);
}

std::vector<std::string> isas() {
  const kernels::Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  const int n = kernels::available(cpu_features(), tables);
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i) out.emplace_back(tables[i]->name);
  return out;
}

// Shapes with padding everywhere: 5 heads, 40 vocabulary rows; and all sizes multiples of 32 for quantised formats.
const TinyModel kFloat{.vocab = 41, .dim = 40, .ffn = 56, .heads = 5, .kv_heads = 1, .head_dim = 12};
const TinyModel kQuantised{
    .vocab = 72, .dim = 64, .ffn = 96, .heads = 6, .kv_heads = 3, .head_dim = 16, .dtype = DType::q4_1};
const TinyModel kExperts{.dim = 64, .ffn = 96, .dtype = DType::q8_0, .experts = 5, .experts_used = 2};

// Formats of keys and values that a pass reads in ways of their own.
constexpr KvType kKvTypes[] = {KvType::f16, KvType::int8, KvType::int4};

void expect_same_bits_anyhow(const TinyModel& model, KvType kv) {
  const File file(model);
  const auto ids = some_ids(150, model.vocab);
  const Rows want = all_rows(*file.open({.threads = 1, .kv = kv, .isa = "scalar"}), ids);
  ASSERT_EQ(want.size(), ids.size());
  struct Run {
    int threads, chunk;
  };
  for (const std::string& isa : isas()) {
    for (const Run run : {Run{2, 64}, {1, 256}, {3, 37}, {2, 3}, {1, 1}}) {
      const EngineOptions options{.threads = run.threads, .kv = kv, .chunk = run.chunk, .isa = isa};
      EXPECT_TRUE(same_bits(want, all_rows(*file.open(options), ids)))
          << isa << " threads " << run.threads << " chunk " << run.chunk << " " << kernels::kv_format(kv).name;
      if (isa == "scalar") break;
    }
  }
}

TEST(Engine, SameBitsForAnyThreadsChunkAndIsa) {
  for (const TinyModel& model : {kFloat, kQuantised, kExperts}) expect_same_bits_anyhow(model, KvType::f16);
  for (KvType kv : {KvType::int8, KvType::int4}) {
    expect_same_bits_anyhow(kFloat, kv);
    expect_same_bits_anyhow(kQuantised, kv);
  }
}

TEST(Engine, SameBitsForEveryFormatAndIsa) {
  for (const Format& f : all_formats()) {
    if (f.decode == nullptr || f.gguf < 0) continue;
    TinyModel model{
        .vocab = 48, .dim = 256, .ffn = 256, .layers = 1, .heads = 4, .kv_heads = 2, .head_dim = 64, .dtype = f.dtype};
    model.mixed = true;
    model.v_dtype = DType::q8_0;
    const File file(model);
    const auto ids = some_ids(21, model.vocab);
    const Rows want = all_rows(*file.open({.threads = 1, .isa = "scalar"}), ids);
    double sum = 0;
    for (const auto& row : want) {
      for (const float x : row) sum += std::fabs(static_cast<double>(x));
    }
    EXPECT_TRUE(std::isfinite(sum) && sum > 0) << f.name;
    for (const std::string& isa : isas()) {
      EXPECT_TRUE(same_bits(want, all_rows(*file.open({.threads = 2, .chunk = 5, .isa = isa}), ids)))
          << f.name << " " << isa;
    }
  }
}

TEST(Engine, QuantisedIsCloseToFp32) {
  for (const DType dtype : {DType::q8_0, DType::q4_0, DType::q4_k, DType::q6_k}) {
    const File file(
        TinyModel{.vocab = 64, .dim = 256, .ffn = 512, .heads = 4, .kv_heads = 2, .head_dim = 64, .dtype = dtype});
    const auto ids = some_ids(24, 64);
    const Rows exact = all_rows(*file.open({.threads = 1, .compute = Compute::f32}), ids);
    const Rows fast = all_rows(*file.open({.threads = 1}), ids);
    EXPECT_LT(error_of(fast, exact), 0.05) << format(dtype).name;
    EXPECT_GT(error_of(fast, exact), 0) << "FP32 must not read int8 activations";
  }
}

// int8 with a scale a row, of dense models and of experts: near the file's own weights, the same bits on every
// instruction set, whatever threads, chunks and neighbours.
TEST(Engine, Int8) {
  const TinyModel all{.dim = 40, .ffn = 56, .dtype = DType::f32, .experts = 4, .experts_used = 4};
  const TinyModel two_of_five{.dim = 40, .ffn = 56, .dtype = DType::bf16, .experts = 5, .experts_used = 2};
  const TinyModel one_of_many{.dim = 72, .ffn = 40, .dtype = DType::f16, .experts = 30, .experts_used = 1};
  for (const TinyModel& model : {kFloat, all, two_of_five, one_of_many}) {
    const File file(model);
    const auto ids = some_ids(90, model.vocab);
    const Rows exact = all_rows(*file.open({.threads = 2}), ids);
    const Rows want = all_rows(*file.open({.threads = 1, .compute = Compute::int8, .isa = "scalar"}), ids);
    EXPECT_GT(error_of(want, exact), 0);
    // Near ties of the router fall the other way for some rows, which then get other experts.
    EXPECT_LT(error_of(want, exact), model.experts_used == model.experts ? 0.1 : 0.4);
    if (model.dtype == DType::f32 && model.experts > 0) {  // the experts, which are most of it, have codes too
      EXPECT_LT(file.open({.compute = Compute::int8})->memory().weights, file.open({})->memory().weights * 2 / 3);
    }
    for (const std::string& isa : isas()) {
      for (const auto& [threads, chunk] : {std::pair{3, 256}, {1, 37}, {2, 5}, {2, 1}}) {
        const auto engine = file.open({.threads = threads, .compute = Compute::int8, .chunk = chunk, .isa = isa});
        EXPECT_TRUE(same_bits(want, all_rows(*engine, ids))) << isa << " threads " << threads << " chunk " << chunk;
      }
    }
  }
}

// FP32 by products of parts: as near as FP32 itself, the same bits everywhere.
TEST(Engine, Bf16x3) {
  const TinyModel experts{.dim = 72, .ffn = 40, .dtype = DType::f16, .experts = 5, .experts_used = 2};
  const TinyModel quantised{.dim = 64, .ffn = 96, .dtype = DType::q8_0};
  for (const TinyModel& model : {kFloat, experts, quantised}) {
    const File file(model);
    const auto ids = some_ids(90, model.vocab);
    const Rows exact = all_rows(*file.open({.threads = 2, .compute = Compute::f32}), ids);
    const Rows want = all_rows(*file.open({.threads = 1, .compute = Compute::bf16x3, .isa = "scalar"}), ids);
    EXPECT_GT(error_of(want, exact), 0);
    EXPECT_LT(error_of(want, exact), 1e-5);
    for (const std::string& isa : isas()) {
      for (const auto& [threads, chunk] : {std::pair{3, 256}, {1, 37}, {2, 5}, {2, 1}}) {
        if (isa != isas().back() && chunk != 37) continue;  // slow, and the same code for any number of rows
        const auto engine = file.open({.threads = threads, .compute = Compute::bf16x3, .chunk = chunk, .isa = isa});
        EXPECT_TRUE(same_bits(want, all_rows(*engine, ids))) << isa << " threads " << threads << " chunk " << chunk;
      }
    }
  }
}

// Nearly FP32: the same bits everywhere too.
TEST(Engine, Bf16x2) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    const File file(TinyModel{.dim = 72, .ffn = 40, .dtype = dtype});
    const auto ids = some_ids(40, 48);
    const Rows exact = all_rows(*file.open({.threads = 2, .compute = Compute::f32}), ids);
    const auto scalar = file.open({.threads = 1, .compute = Compute::bf16x2, .isa = "scalar"});
    const Rows want = all_rows(*scalar, ids);
    EXPECT_GT(error_of(want, exact), 1e-8);
    EXPECT_LT(error_of(want, exact), 1e-4);
    EXPECT_EQ(scalar->kv_type(), kernels::KvType::f32);
    for (const KernelReport& kernel : scalar->kernels()) EXPECT_TRUE(kernel.gemm.starts_with("bf16x2")) << kernel.gemm;
    for (const std::string& isa : isas()) {
      const auto engine = file.open({.threads = 3, .compute = Compute::bf16x2, .chunk = 37, .isa = isa});
      EXPECT_TRUE(same_bits(want, all_rows(*engine, ids))) << isa;
    }
  }
}

// Floating matrices as with bf16x3, quantised ones as ever: activations are rounded for these alone.
TEST(Engine, FloatsByPartsBesideCodes) {
  const File floats(TinyModel{.dim = 96, .ffn = 64, .dtype = DType::f16});
  const auto ids = some_ids(70, 48);
  const Rows exact = all_rows(*floats.open({.threads = 2, .kv = kernels::KvType::f32}), ids);
  const auto parts = floats.open({.threads = 2, .compute = Compute::floats, .kv = kernels::KvType::f32});
  EXPECT_LT(error_of(all_rows(*parts, ids), exact), 1e-5);
  EXPECT_EQ(floats.open({.compute = Compute::floats})->kv_type(), floats.open({})->kv_type());
  for (const KernelReport& kernel : parts->kernels()) EXPECT_TRUE(kernel.gemm.starts_with("bf16x3")) << kernel.gemm;

  const File codes(TinyModel{.dim = 64, .ffn = 96, .dtype = DType::q8_0});
  const auto engine = codes.open({.threads = 2, .compute = Compute::floats});
  EXPECT_LT(error_of(all_rows(*engine, ids), all_rows(*codes.open({.threads = 2}), ids)), 1e-5);
  for (const KernelReport& kernel : engine->kernels()) {
    if (kernel.format == "Q8_0") EXPECT_FALSE(kernel.gemm.starts_with("bf16x3")) << kernel.weights;
  }
}

// More rows at once than meet all columns together; rows of their own for each thread, and columns handed out.
TEST(Engine, GroupsOfRowsChangeNothing) {
  struct Case {
    DType dtype;
    Compute compute;
    int64_t ffn;
  };
  for (const Case& c : {Case{DType::f32, Compute::automatic, 64},
                        {DType::f32, Compute::bf16x3, 64},
                        {DType::f32, Compute::int8, 1760},
                        {DType::q8_0, Compute::automatic, 1760}}) {
    const File file(TinyModel{.dim = 544, .ffn = c.ffn, .layers = 1, .dtype = c.dtype});
    const auto ids = some_ids(500, 48);
    const auto rows = [&](int threads, int chunk) {
      return all_rows(*file.open({.threads = threads, .compute = c.compute, .chunk = chunk}), ids);
    };
    const Rows want = rows(1, 41);
    for (const int threads : {1, 2, 5}) EXPECT_TRUE(same_bits(rows(threads, 500), want)) << threads << " threads";
  }
}

// Experts of one layer in formats of their own: products read both kinds of codes side by side.
TEST(Engine, Int8OfExpertsInTwoFormats) {
  const TinyModel model{.dim = 64, .ffn = 96, .experts = 3, .experts_used = 3};
  io::GgufBuilder builder = model.gguf();
  std::mt19937 random(3);
  for (auto& tensor : builder.tensors) {
    if (!tensor.name.ends_with("ffn_gate_exps.weight")) continue;
    tensor.type = static_cast<uint32_t>(format(DType::q8_0).gguf);
    tensor.data = models::random_blocks(DType::q8_0, model.experts * model.ffn * model.dim, 0.25, random);
  }
  io::TempDir dir;
  ASSERT_TRUE(builder.write(dir / "m.gguf").ok());
  const auto run = [&](const EngineOptions& options) {
    auto engine = Engine::open(dir / "m.gguf", options);
    EXPECT_TRUE(engine.ok()) << engine.error().str();
    return all_rows(**engine, some_ids(50, model.vocab));
  };
  const Rows exact = run({.threads = 2, .compute = Compute::f32}), want = run({.threads = 2, .compute = Compute::int8});
  EXPECT_LT(error_of(want, exact), 0.1);
  for (const std::string& isa : isas()) {
    EXPECT_TRUE(same_bits(want, run({.threads = 1, .compute = Compute::int8, .chunk = 7, .isa = isa}))) << isa;
  }
}

// What has no codes is told when the model is loaded, by tensor and row; without int8 the model can be looked at.
TEST(Engine, Int8OfBrokenWeightsNamesTheTensor) {
  for (const char* name : {"blk.1.attn_k.weight", "blk.0.ffn_down_exps.weight"}) {
    io::GgufBuilder builder = TinyModel{.experts = 3, .experts_used = 1}.gguf();
    for (auto& tensor : builder.tensors) {
      if (tensor.name == name) tensor.data.replace(tensor.data.size() - 4, 4, "\x00\x00\x80\x7f", 4);  // +inf
    }
    io::TempDir dir;
    ASSERT_TRUE(builder.write(dir / "m.gguf").ok());
    const auto engine = Engine::open(dir / "m.gguf", {.threads = 2, .compute = Compute::int8});
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Code::corrupt);
    EXPECT_NE(engine.error().str().find("m.gguf"), std::string::npos) << engine.error().str();
    EXPECT_NE(engine.error().str().find(name), std::string::npos) << engine.error().str();
    EXPECT_NE(engine.error().str().find("infinity or a NaN"), std::string::npos) << engine.error().str();
    EXPECT_TRUE(Engine::open(dir / "m.gguf", {.threads = 2}).ok());
  }
}

// A router of numbers that are none rates no expert, and still no row may choose one twice: memory is planned for that.
TEST(Engine, ABrokenRouterChoosesEachExpertOnce) {
  io::GgufBuilder builder = kExperts.gguf();
  for (auto& tensor : builder.tensors) {
    if (tensor.name.ends_with("ffn_gate_inp.weight")) std::fill(tensor.data.begin(), tensor.data.end(), '\xff');
  }
  io::TempDir dir;
  ASSERT_TRUE(builder.write(dir / "m.gguf").ok());
  EngineOptions options;
  options.threads = 2;
  options.chunk = 64;
  auto engine = Engine::open(dir / "m.gguf", options);
  ASSERT_TRUE(engine.ok()) << engine.error().str();
  Sequence sequence = (*engine)->new_sequence();
  EXPECT_TRUE((*engine)->forward(sequence, std::vector<int32_t>(64, 3), Want::all).ok());
}

TEST(Engine, TokenByTokenEqualsPrompt) {
  const File file(kQuantised);
  for (KvType kv : kKvTypes) {
    const auto engine = file.open({.threads = 2, .kv = kv, .chunk = 32});
    const auto ids = some_ids(140, kQuantised.vocab);
    const Rows want = all_rows(*engine, ids);
    Sequence sequence = engine->new_sequence();
    Rows got;
    size_t at = 0;
    for (const size_t step : {1, 1, 17, 1, 2, 66, 1, 4, 5, 42}) {
      auto logits = engine->forward(sequence, std::span(ids).subspan(at, step), Want::all);
      ASSERT_TRUE(logits.ok());
      append(got, *logits);
      at += step;
      EXPECT_EQ(sequence.size(), static_cast<int64_t>(at));
    }
    ASSERT_EQ(at, ids.size());
    EXPECT_TRUE(same_bits(want, got)) << kernels::kv_format(kv).name;
  }
}

void expect_neighbours_change_nothing(const TinyModel& model, KvType kv) {
  const File file(model);
  const auto engine = file.open({.threads = 2, .kv = kv, .chunk = 48});
  const size_t lengths[] = {1, 90, 3, 30, 1, 17};
  std::vector<std::vector<int32_t>> texts;
  std::vector<Rows> want;
  for (size_t i = 0; i < std::size(lengths); ++i) {
    texts.push_back(some_ids(static_cast<int64_t>(lengths[i]) + 20, model.vocab, static_cast<uint32_t>(i)));
    want.push_back(all_rows(*engine, texts.back()));
  }
  std::vector<Sequence> sequences;
  for (size_t i = 0; i < texts.size(); ++i) sequences.push_back(engine->new_sequence());
  std::vector<Rows> got(texts.size());
  for (size_t step = 0; step < 6; ++step) {  // prompts together, then pieces of 1 to 5 tokens
    std::vector<Slice> slices;
    std::vector<size_t> members;
    for (size_t i = 0; i < texts.size(); ++i) {
      const size_t used = got[i].size();
      const size_t n = step == 0 ? lengths[i] : std::min(texts[i].size() - used, (i + step) % 5 + 1);
      if (n == 0 || (step > 0 && (i + step) % 4 == 0)) continue;
      slices.push_back({&sequences[i], std::span(texts[i]).subspan(used, n), Want::all});
      members.push_back(i);
    }
    auto logits = engine->forward(slices);
    ASSERT_TRUE(logits.ok()) << logits.error().str();
    int64_t row = 0;
    for (size_t m = 0; m < slices.size(); ++m) {
      for (size_t t = 0; t < slices[m].tokens.size(); ++t, ++row) {
        got[members[m]].emplace_back(logits->row(row).begin(), logits->row(row).end());
      }
    }
    ASSERT_EQ(row, logits->rows());
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    want[i].resize(got[i].size());
    EXPECT_GT(got[i].size(), lengths[i]);
    EXPECT_TRUE(same_bits(want[i], got[i])) << "text " << i;
  }
}

TEST(Engine, NeighboursChangeNothing) {
  for (const TinyModel& model : {kFloat, kQuantised, kExperts}) expect_neighbours_change_nothing(model, KvType::f16);
  for (KvType kv : {KvType::int8, KvType::int4}) expect_neighbours_change_nothing(kQuantised, kv);
}

TEST(Engine, WantedRows) {
  const File file(kQuantised);
  const auto engine = file.open({.threads = 2, .chunk = 16});
  const auto a = some_ids(70, kQuantised.vocab, 1);
  const auto b = some_ids(40, kQuantised.vocab, 2);
  const auto c = some_ids(5, kQuantised.vocab, 3);
  const Rows want_a = all_rows(*engine, a);
  const Rows want_c = all_rows(*engine, c);
  Sequence sa = engine->new_sequence();
  Sequence sb = engine->new_sequence();
  Sequence sc = engine->new_sequence();
  const Slice slices[] = {{&sa, a, Want::last}, {&sb, b, Want::none}, {&sc, c, Want::all}};
  auto logits = engine->forward(slices);
  ASSERT_TRUE(logits.ok());
  ASSERT_EQ(logits->rows(), 6);
  Rows got;
  append(got, *logits);
  Rows want{want_a.back()};
  want.insert(want.end(), want_c.begin(), want_c.end());
  EXPECT_TRUE(same_bits(want, got));
  EXPECT_EQ(sb.size(), 40);

  auto none = engine->forward(sb, c, Want::none);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->rows(), 0);
}

TEST(Engine, ForwardAllStreamsTheSameRows) {
  const File file(kFloat);
  const auto engine = file.open({.threads = 2, .chunk = 32});
  const auto ids = some_ids(100, kFloat.vocab);
  const Rows want = all_rows(*engine, ids);
  Sequence sequence = engine->new_sequence();
  Rows got;
  ASSERT_TRUE(engine
                  ->forward_all(sequence, ids,
                                [&](int64_t first, const Logits& logits) -> Result<void> {
                                  EXPECT_EQ(first, static_cast<int64_t>(got.size()));
                                  EXPECT_LE(logits.rows(), 32);
                                  append(got, logits);
                                  return {};
                                })
                  .ok());
  EXPECT_TRUE(same_bits(want, got));

  Sequence stopped = engine->new_sequence();
  const auto refused = engine->forward_all(stopped, ids, [](int64_t, const Logits&) -> Result<void> {
    return Error{Code::cancelled, "enough", {}};
  });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::cancelled);
}

TEST(Engine, TruncateGoesBack) {
  const File file(kQuantised);
  for (KvType kv : kKvTypes) {
    const auto engine = file.open({.threads = 2, .kv = kv});
    const auto ids = some_ids(100, kQuantised.vocab, 1);
    const auto other = some_ids(80, kQuantised.vocab, 2);
    const Rows want = all_rows(*engine, ids);
    Sequence sequence = engine->new_sequence();
    ASSERT_TRUE(engine->forward(sequence, std::span(ids).first(37), Want::none).ok());
    ASSERT_TRUE(engine->forward(sequence, other, Want::none).ok());  // what came to nothing
    sequence.truncate(37);
    auto logits = engine->forward(sequence, std::span(ids).subspan(37), Want::all);
    ASSERT_TRUE(logits.ok());
    Rows got;
    append(got, *logits);
    EXPECT_TRUE(same_bits({want.begin() + 37, want.end()}, got)) << kernels::kv_format(kv).name;
  }
}

TEST(Engine, ReusedPagesLeaveNoTrace) {
  const File file(kFloat);
  for (KvType kv : kKvTypes) {
    const auto engine = file.open({.threads = 1, .kv = kv});
    const auto ids = some_ids(130, kFloat.vocab);
    const Rows want = all_rows(*engine, ids);
    const int64_t reserved = engine->memory().kv_reserved;
    EXPECT_TRUE(same_bits(want, all_rows(*engine, ids)));
    EXPECT_EQ(engine->memory().kv_reserved, reserved);
  }
}

// Sequences that share their past, as beams do, go on as if each had read it alone.
TEST(Engine, ForksOfSharedPagesGoOnAlone) {
  const File file(kQuantised);
  for (KvType kv : kKvTypes) {
    const auto engine = file.open({.threads = 2, .kv = kv});
    const auto past = some_ids(75, kQuantised.vocab, 3);
    Sequence first = engine->new_sequence();
    ASSERT_TRUE(engine->forward(first, past, Want::none).ok());
    std::vector<Sequence> forks;
    for (int i = 0; i < 3; ++i) forks.push_back(first.fork());
    std::vector<Rows> got(forks.size());
    for (int step = 0; step < 20; ++step) {
      std::vector<std::vector<int32_t>> ids;
      for (size_t i = 0; i < forks.size(); ++i) ids.push_back({(7 * step + 11 * static_cast<int>(i)) % 72});
      std::vector<Slice> slices;
      for (size_t i = 0; i < forks.size(); ++i) slices.push_back({&forks[i], ids[i], Want::last});
      const auto logits = engine->forward(slices);
      ASSERT_TRUE(logits.ok());
      for (size_t i = 0; i < forks.size(); ++i) {
        const auto row = logits->row(static_cast<int64_t>(i));
        got[i].emplace_back(row.begin(), row.end());
      }
    }
    for (size_t i = 0; i < forks.size(); ++i) {
      std::vector<int32_t> ids = past;
      for (int step = 0; step < 20; ++step) ids.push_back((7 * step + 11 * static_cast<int>(i)) % 72);
      const Rows want = all_rows(*engine, ids);
      EXPECT_TRUE(same_bits({want.begin() + 75, want.end()}, got[i])) << kernels::kv_format(kv).name << " fork " << i;
    }
  }
}

// Heads of whole groups, of less than one, and of groups that end short.
TEST(Engine, CodedKeysAndValuesAreNearThoseOfFp32) {
  for (const int64_t head_dim : {12, 40, 64, 80}) {
    TinyModel model = kFloat;
    model.head_dim = head_dim;
    const File file(model);
    const auto ids = some_ids(130, model.vocab);
    const Rows exact = all_rows(*file.open({.threads = 1, .compute = Compute::f32}), ids);
    const auto error = [&](KvType kv) {
      return error_of(all_rows(*file.open({.threads = 1, .compute = Compute::f32, .kv = kv}), ids), exact);
    };
    const double half = error(KvType::f16), eight = error(KvType::int8), four = error(KvType::int4);
    EXPECT_LT(eight, 0.06) << head_dim;
    EXPECT_LT(four, 0.6) << head_dim;
    EXPECT_LT(half, eight) << head_dim;
    EXPECT_LT(eight, four / 4) << head_dim;
  }
}

TEST(Engine, Verify) {
  const File file(kQuantised);
  const auto engine = file.open({.threads = 2});
  const auto prompt = some_ids(20, kQuantised.vocab);
  const auto greedy = [](std::span<const float> row) {
    return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
  };
  // Twelve tokens, one by one.
  Sequence plain = engine->new_sequence();
  auto logits = engine->forward(plain, prompt);
  ASSERT_TRUE(logits.ok());
  std::vector<int32_t> text;
  for (int i = 0; i < 12; ++i) {
    text.push_back(greedy(logits->row(0)));
    logits = engine->forward(plain, std::span(text).last(1));
    ASSERT_TRUE(logits.ok());
  }
  for (const int right : {0, 1, 4}) {
    Sequence sequence = engine->new_sequence();
    ASSERT_TRUE(engine->forward(sequence, prompt, Want::none).ok());
    std::vector<int32_t> draft(text.begin() + 1, text.begin() + 6);
    for (size_t i = static_cast<size_t>(right); i < draft.size(); ++i) draft[i] = (draft[i] + 1) % 72;
    int calls = 0;
    auto verified = verify(*engine, sequence, text[0], draft, [&](std::span<const float> row) {
      ++calls;
      return greedy(row);
    });
    ASSERT_TRUE(verified.ok()) << verified.error().str();
    EXPECT_EQ(verified->accepted, right);
    EXPECT_EQ(verified->next, text[static_cast<size_t>(right) + 1]);
    EXPECT_EQ(calls, right + 1);
    EXPECT_EQ(sequence.size(), 21 + right);
  }
  Sequence sequence = engine->new_sequence();
  ASSERT_TRUE(engine->forward(sequence, prompt, Want::none).ok());
  auto all = verify(*engine, sequence, text[0], std::span(text).subspan(1, 10), greedy);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->accepted, 10);
  EXPECT_EQ(all->next, text[11]);
}

TEST(Engine, ErrorsChangeNothing) {
  const File file(kFloat);
  const auto engine = file.open({.threads = 1, .ctx = 64});
  Sequence sequence = engine->new_sequence();
  Sequence second = engine->new_sequence();
  const auto ids = some_ids(40, kFloat.vocab);
  ASSERT_TRUE(engine->forward(sequence, ids).ok());
  const int32_t negative[] = {3, -1};
  const int32_t high[] = {41};
  const auto fails = [&](std::span<const Slice> slices, std::string_view words) {
    auto result = engine->forward(slices);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, Code::invalid);
    EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
    EXPECT_EQ(sequence.size(), 40);
    EXPECT_EQ(second.size(), 0);
  };
  fails({}, "no slices");
  fails(std::vector<Slice>{{&sequence, negative}}, "-1");
  fails(std::vector<Slice>{{&second, ids}, {&sequence, high}}, "0 to 40");
  fails(std::vector<Slice>{{&sequence, {}}}, "no tokens");
  fails(std::vector<Slice>{{&sequence, std::span(ids).first(25)}}, "context holds 64");
  fails(std::vector<Slice>{{&second, ids}, {&second, ids}}, "twice");
  EXPECT_TRUE(engine->forward(sequence, std::span(ids).first(24)).ok());
  const auto all =
      engine->forward_all(second, some_ids(65, 41), [](int64_t, const Logits&) -> Result<void> { return {}; });
  EXPECT_FALSE(all.ok());
  EXPECT_EQ(second.size(), 0);
}

TEST(Engine, BadOptions) {
  const File file(kFloat);
  const EngineOptions bad[] = {{.threads = -1}, {.threads = 5000}, {.ctx = -1},    {.ctx = int64_t{1} << 40},
                               {.chunk = 0},    {.chunk = 100000}, {.isa = "mips"}};
  for (const EngineOptions& options : bad) {
    auto engine = Engine::open(file.path(), options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Code::invalid);
    EXPECT_FALSE(engine.error().message.empty());
  }
  EXPECT_FALSE(Engine::open(file.path().parent_path() / "none.gguf", {}).ok());
}

TEST(Engine, ATiedOutputMatrixServesAsTheEmbedding) {
  for (TinyModel model : {kFloat, kQuantised}) {
    for (const Compute compute : {Compute::automatic, Compute::f32}) {
      model.output = TinyModel::Output::copied;
      const File copied(model);
      model.output = TinyModel::Output::tied;
      const File tied(model);
      const EngineOptions options{.threads = 2, .compute = compute};
      const auto ids = some_ids(90, model.vocab);
      const auto engine = tied.open(options);
      EXPECT_EQ(engine->memory().embedding, 0);
      EXPECT_TRUE(same_bits(all_rows(*copied.open(options), ids), all_rows(*engine, ids)));
    }
  }
}

TEST(Engine, Reports) {
  const File file(kQuantised);
  const auto engine = file.open({.threads = 2});
  EXPECT_EQ(engine->spec().family, "llama");
  EXPECT_EQ(engine->vocab(), 72);
  EXPECT_EQ(engine->ctx(), 512);
  EXPECT_EQ(engine->kv_type(), KvType::f16);
  EXPECT_EQ(file.open({.threads = 1, .compute = Compute::f32})->kv_type(), KvType::f32);
  EXPECT_EQ(file.open({.threads = 1, .kv = KvType::bf16})->kv_type(), KvType::bf16);
  EXPECT_FALSE(engine->tokenizer().ok());
  EXPECT_EQ(*engine->chat_template(), nullptr);

  int64_t bytes = 0;
  std::set<std::string> groups;
  for (const KernelReport& k : engine->kernels()) {
    EXPECT_EQ(k.format, "Q4_1");
    EXPECT_FALSE(k.gemv.empty() || k.gemm.empty());
    bytes += k.bytes;
    groups.insert(k.weights);
  }
  EXPECT_EQ(groups, (std::set<std::string>{"qkv", "o", "gate_up", "down", "lm_head"}));
  const MemoryReport memory = engine->memory();
  EXPECT_GE(memory.weights, bytes);
  EXPECT_LT(memory.weights, bytes + 64 * 100);
  EXPECT_EQ(memory.embedding, 72 * 64 / 32 * 20);
  EXPECT_EQ(memory.kv_per_token, 2 * 2 * 3 * 16 * 2);  // K and V, layers, heads, head_dim, F16
  EXPECT_EQ(memory.kv_reserved, 0);
  TinyModel wide = kQuantised;
  wide.head_dim = 64;
  const File coded(wide);
  const auto per_token = [&](KvType kv) { return coded.open({.threads = 1, .kv = kv})->memory().kv_per_token; };
  EXPECT_EQ(per_token(KvType::int8), 2 * 2 * 3 * (64 + 2 * 2));  // a byte a value, a scale of two for 32
  EXPECT_EQ(per_token(KvType::int4), 2 * 2 * 3 * (32 + 2 * 2));
}

TEST(Engine, AContextThatDoesNotFitIsToldButNotRefused) {
  testing::internal::CaptureStderr();
  const File file(kQuantised);
  const auto engine = file.open({.threads = 1, .ctx = int64_t{1} << 30});
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(
      said.find("a text that fills the context will fail: keys and values of 1 text of 1073741824 positions need"),
      std::string::npos)
      << said;
  Sequence sequence = engine->new_sequence();
  EXPECT_TRUE(engine->forward(sequence, std::vector<int32_t>{1, 2}).ok());
  EXPECT_TRUE(engine->check_memory(1, 100).ok());
  EXPECT_EQ(engine->check_memory(INT64_MAX, 100).error().code, Code::out_of_memory);
  const std::pair<KvType, const char*> mends[] = {{KvType::f16, "or choose int8 for keys"},
                                                  {KvType::int8, "or choose int4 for keys"},
                                                  {KvType::int4, "or lower the context"}};
  for (const auto& [kv, mend] : mends) {
    const std::string why = file.open({.threads = 1, .kv = kv})->check_memory(INT64_MAX, 100).error().message;
    EXPECT_NE(why.find(mend), std::string::npos) << why;
  }
  EXPECT_EQ(engine->check_memory(1, INT64_MAX - 64).error().code, Code::out_of_memory);
}

TEST(Engine, ACancelledForwardChangesNothing) {
  const File file(kQuantised);
  const auto engine = file.open({.threads = 2, .chunk = 16});
  const auto ids = some_ids(100, engine->vocab());
  const Rows whole = all_rows(*engine, ids);
  Sequence a = engine->new_sequence(), b = engine->new_sequence();
  const std::span<const int32_t> text(ids);
  ASSERT_TRUE(engine->forward(a, text.first(10)).ok());
  std::atomic<bool> cancel = false;
  int chunks = 0;
  engine->tap([&](std::string_view name, const float*, int64_t, int64_t, int64_t) {
    if (name == "blk.1.qkv" && ++chunks == 3) cancel = true;
  });
  const Slice slices[] = {{&a, text.subspan(10), Want::none}, {&b, text.first(50), Want::last}};
  const auto logits = engine->forward(slices, &cancel);
  ASSERT_FALSE(logits.ok());
  EXPECT_EQ(logits.error().code, Code::cancelled);
  EXPECT_EQ(chunks, 3);
  EXPECT_EQ(a.size(), 10);
  EXPECT_EQ(b.size(), 0);
  engine->tap({});
  const auto rest = engine->forward(a, text.subspan(10), Want::all);
  ASSERT_TRUE(rest.ok());
  Rows rows;
  append(rows, *rest);
  EXPECT_TRUE(rows == Rows(whole.begin() + 10, whole.end()));
}

TEST(Engine, LoadingCanBeCancelled) {
  const File file(kQuantised);
  const std::atomic<bool> cancel = true;
  const auto engine = Engine::open(file.path(), {.threads = 1, .cancel = &cancel});
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.error().code, Code::cancelled);
}

TEST(Engine, ABrokenChatTemplateIsMissedOnlyByWhoWantsIt) {
  io::TempDir dir;
  io::GgufBuilder file = talking_model();
  ASSERT_TRUE(file.key("tokenizer.chat_template", "{% for m in messages %}{{ m.content }}").write(dir / "m.gguf").ok());
  const auto engine = Engine::open(dir / "m.gguf", {.threads = 1});
  ASSERT_TRUE(engine.ok()) << engine.error().str();
  Sequence sequence = (*engine)->new_sequence();
  EXPECT_TRUE((*engine)->forward(sequence, std::vector<int32_t>{1, 2}).ok());
  EXPECT_TRUE((*engine)->tokenizer().ok());
  const auto form = (*engine)->chat_template();
  ASSERT_FALSE(form.ok());
  EXPECT_NE(form.error().str().find("m.gguf: tokenizer.chat_template"), std::string::npos) << form.error().str();
}

TEST(Engine, TapsAndProfile) {
  const File file(kFloat);
  const auto engine = file.open({.threads = 2});
  const auto ids = some_ids(9, kFloat.vocab);
  const Rows want = all_rows(*engine, ids);
  std::vector<std::string> names;
  Rows tapped;
  engine->tap([&](std::string_view name, const float* values, int64_t rows, int64_t cols, int64_t stride) {
    names.emplace_back(name);
    if (name != "lm_head") return;
    for (int64_t i = 0; i < rows; ++i) tapped.emplace_back(values + i * stride, values + i * stride + cols);
  });
  engine->profile(true);
  EXPECT_TRUE(same_bits(want, all_rows(*engine, ids)));
  EXPECT_TRUE(same_bits(want, tapped));
  const std::vector<std::string> expected = {"embedding",     "rotation",   "blk.0.qkv", "blk.0.attn", "blk.0.o",
                                             "blk.0.gate_up", "blk.0.down", "blk.1.qkv", "blk.1.attn", "blk.1.o",
                                             "blk.1.gate_up", "blk.1.down", "lm_head"};
  EXPECT_EQ(names, expected);
  double total = 0;
  for (const auto& [kind, seconds] : engine->profile()) total += seconds;
  EXPECT_EQ(engine->profile().size(), 8u);
  EXPECT_GT(total, 0);
  engine->profile(false);
  engine->tap({});
  names.clear();
  EXPECT_TRUE(same_bits(want, all_rows(*engine, ids)));
  EXPECT_TRUE(names.empty() && engine->profile().empty());
}

// Restores MIAO_ISA, which CI sets for whole runs.
class ForcedIsa {
 public:
  explicit ForcedIsa(const std::string& isa) : before_(env("MIAO_ISA")) { ::setenv("MIAO_ISA", isa.c_str(), 1); }
  ~ForcedIsa() { before_ ? ::setenv("MIAO_ISA", before_->c_str(), 1) : ::unsetenv("MIAO_ISA"); }

 private:
  std::optional<std::string> before_;
};

TEST(Engine, MiaoIsaForcesTheKernelsThatRun) {
  const File file{TinyModel{}};
  for (const std::string& isa : isas()) {
    const ForcedIsa forced(isa);
    const auto engine = file.open({.threads = 1});
    EXPECT_EQ(engine->isa(), isa);
    ASSERT_FALSE(engine->kernels().empty());
    // Tiles multiply integers only: floating weights keep the vector kernels of the same processor.
    const std::string name = isa == "amx" ? "avx512" : isa;
    for (const auto& group : engine->kernels()) EXPECT_NE(group.gemm.find("." + name), std::string::npos) << group.gemm;
  }
  const ForcedIsa unknown("mips");
  const auto engine = Engine::open(file.path(), {});
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(engine.error().str().find("'mips'"), std::string::npos) << engine.error().str();
}

}  // namespace
}  // namespace miao::runtime
