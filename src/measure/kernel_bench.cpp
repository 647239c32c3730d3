// Weights are made of bytes 0x20 .. 0x3a, which every format reads as small finite scales; speed does not depend on
// codes. Best of the passes that fit into the time, as in machine.cpp.
#include "measure/kernel_bench.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace miao::measure {

using kernels::Kernels;
using kernels::kLanes;
using kernels::MatMul;

namespace {

constexpr int64_t kCols = 4096;
constexpr const char* kPartsNames[] = {"BF16, bf16x3", "F16, bf16x3", "F32, bf16x3"};
constexpr const char* kTwoPartsNames[] = {"BF16, bf16x2", "F32, bf16x2"};
constexpr int64_t kGemvBytes = int64_t{64} << 20;
constexpr int64_t kGemmBlocks = 32, kGemmTokens = 256;

struct Problem {
  Memory weights, activations, codes, parts, out, scratch;
  int64_t blocks = 0, tokens = 0, block_bytes = 0, scratch_bytes = 0;
  kernels::Activations in;
};

Result<Problem> make(const Kernels& table, const MatMul& kernel, DType dtype, int64_t blocks, int64_t tokens,
                     ThreadPool& pool) {
  Problem p;
  p.blocks = blocks;
  p.tokens = tokens;
  p.block_bytes = kernel.block_bytes(kCols);
  p.scratch_bytes = kernels::round_up(kernel.scratch_bytes(kCols), 64);
  const int64_t rows = kernels::round_up(tokens, 16);
  const auto bytes = [](int64_t n) { return static_cast<size_t>(n); };
  MIAO_TRY(p.weights, Memory::allocate(bytes(blocks * p.block_bytes)));
  MIAO_TRY(p.activations, Memory::allocate(bytes(rows * kCols * 4)));
  MIAO_TRY(p.codes, Memory::allocate(bytes(kernels::Quantised::bytes(tokens, kCols))));
  MIAO_TRY(p.parts, Memory::allocate(bytes(kernels::FloatParts::bytes(tokens, kCols))));
  MIAO_TRY(p.out, Memory::allocate(bytes(rows * blocks * kLanes * 4)));
  MIAO_TRY(p.scratch, Memory::allocate(bytes(p.scratch_bytes * pool.threads() + 64)));
  std::vector<uint8_t> row(bytes(row_bytes(dtype, kCols)));
  for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<uint8_t>(0x20 + i * 7 % 27);
  const void* sources[kLanes];
  std::fill(std::begin(sources), std::end(sources), row.data());
  pool.run([&](Worker& worker) {
    const Range own = worker.split(blocks);
    for (int64_t b = own.begin; b < own.end; ++b) kernel.pack(sources, kCols, p.weights.data() + b * p.block_bytes);
  });
  for (int64_t t = 0; t < rows; ++t) {
    float* x = p.activations.as<float>() + t * kCols;
    for (int64_t i = 0; i < kCols; ++i) x[i] = static_cast<float>((i * 31 + t * 17) % 255 - 127) / 64;
  }
  p.in = {p.activations.as<float>(), kCols, kernels::Quantised::at(p.codes.data(), tokens, kCols), tokens};
  for (int64_t unit = 0; unit < quantize_units(tokens, p.in.codes); ++unit)
    quantize_unit(table, p.in.x, kCols, tokens, p.in.codes, unit);
  p.in.parts = kernels::FloatParts::at(p.parts.data(), tokens, kCols);
  for (int64_t t = 0; kernel.reads == kernels::Reads::parts && t < tokens; ++t)
    table.split_row(p.in.x + t * kCols, kCols, p.in.parts, t);
  return p;
}

// Seconds of the fastest pass.
double fastest(ThreadPool& pool, const MatMul& kernel, const Problem& p, double seconds) {
  const int64_t ldy = p.blocks * kLanes;
  const auto pass = [&](const Worker& worker) {
    const Range own = worker.split(p.blocks);
    if (own.empty()) return;
    kernel.run(p.weights.data() + own.begin * p.block_bytes, kCols, own.size(), p.in,
               p.out.as<float>() + own.begin * kLanes, ldy, p.scratch.data() + worker.index * p.scratch_bytes);
  };
  double best = 0, end = 0;
  std::atomic<bool> more{true};
  pool.run([&](Worker& worker) {
    double start = 0;
    while (true) {
      worker.barrier();
      if (worker.index == 0) {
        start = now_seconds();
        if (end == 0) end = start + seconds;
      }
      worker.barrier();
      pass(worker);
      worker.barrier();
      if (worker.index == 0) {
        const double now = now_seconds();
        best = best == 0 ? now - start : std::min(best, now - start);
        more = now < end;
      }
      worker.barrier();
      if (!more) break;
    }
  });
  return best;
}

}  // namespace

Result<std::vector<KernelRow>> bench_kernels(ThreadPool& pool, const std::string& isa, double seconds,
                                             const std::function<void(const KernelRow&)>& progress) {
  const Kernels* tables[static_cast<size_t>(kernels::Isa::count)];
  int count = 1;
  if (isa.empty()) {
    count = kernels::available(cpu_features(), tables);
  } else {
    MIAO_TRY(tables[0], kernels::select(cpu_features(), isa));
  }
  std::vector<KernelRow> out;
  for (int i = 0; i < count; ++i) {
    const Kernels& table = *tables[i];
    struct Case {
      const char* format;
      DType dtype;  // of the rows that are packed
      const MatMul* kernel;
    };
    std::vector<Case> cases;
    for (const Format& format : all_formats())
      cases.push_back({format.name, format.dtype, &table.matmul[static_cast<size_t>(format.dtype)]});
    for (int w = 0; w < kernels::FloatParts::kParts; ++w)
      cases.push_back({kPartsNames[w], DType::f32, &table.bf16x3[w]});
    for (int w = 0; w < 2; ++w) cases.push_back({kTwoPartsNames[w], DType::f32, &table.bf16x2[w]});
    for (const auto& [format, dtype, matmul] : cases) {
      const MatMul& kernel = *matmul;
      if (!kernel.gemv) continue;
      KernelRow row{.isa = table.name, .format = format, .gemv = kernel.gemv, .gemm = kernel.gemm};
      {
        const int64_t blocks = std::max<int64_t>(1, kGemvBytes / kernel.block_bytes(kCols));
        MIAO_TRY(const Problem p, make(table, kernel, dtype, blocks, 1, pool));
        row.gemv_bytes_per_second = static_cast<double>(p.blocks * p.block_bytes) / fastest(pool, kernel, p, seconds);
      }
      MIAO_TRY(const Problem p, make(table, kernel, dtype, kGemmBlocks, kGemmTokens, pool));
      row.gemm_ops_per_second =
          2.0 * static_cast<double>(p.blocks * kLanes * kCols * p.tokens) / fastest(pool, kernel, p, seconds);
      if (progress) progress(row);
      out.push_back(std::move(row));
    }
  }
  return out;
}

}  // namespace miao::measure
