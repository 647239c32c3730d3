#include "compress/gptq/gram.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "kernels/table.h"

namespace miao::compress {

namespace {

using kernels::kLanes;

constexpr int64_t kLine = 64;       // alignment that kernels want
constexpr int64_t kTaskBlocks = 4;  // 64 columns of the result
constexpr int64_t kTaskRows = 256;  // of the result, so that a task's results stay in the L2 cache

// Memory of products, which come by the thousand: kept by the thread that asks for them, as large as the largest was.
std::byte* workspace(int64_t bytes) {
  thread_local std::unique_ptr<std::byte[]> memory;
  thread_local int64_t size = 0;
  if (size < bytes) {
    memory.reset();
    memory = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(bytes + kLine));
    size = bytes;
  }
  return memory.get() + (kLine - reinterpret_cast<uintptr_t>(memory.get()) % kLine) % kLine;
}

// body(first column block, blocks, first row, rows) for every part of the result.
template <class Body>
void for_tasks(Worker& worker, std::atomic<int64_t>& next, int64_t blocks, int64_t rows, const Body& body) {
  const int64_t across = (blocks + kTaskBlocks - 1) / kTaskBlocks, down = (rows + kTaskRows - 1) / kTaskRows;
  for (int64_t task = worker.next(next); task < across * down; task = worker.next(next)) {
    const int64_t block = task % across * kTaskBlocks, row = task / across * kTaskRows;
    body(block, std::min(kTaskBlocks, blocks - block), row, std::min(kTaskRows, rows - row));
  }
}

void multiply(const graph::Context& context, const float* a, int64_t lda, int64_t rows, const float* b, int64_t ldb,
              int64_t cols, int64_t n, float sign, bool lower, float* out, int64_t ldo) {
  const kernels::MatMul& f32 = context.kernels.matmul[static_cast<size_t>(DType::f32)];
  const int64_t blocks = (cols + kLanes - 1) / kLanes, bytes = f32.block_bytes(n);
  const int64_t scratch_bytes = kernels::round_up(f32.scratch_bytes(n), 64);
  const int64_t tile_bytes = kTaskRows * kTaskBlocks * kLanes * static_cast<int64_t>(sizeof(float));
  std::byte* const packed = workspace(blocks * bytes + context.pool.threads() * (scratch_bytes + tile_bytes) + kLine);
  std::byte* const own = packed + kernels::round_up(blocks * bytes, kLine);
  std::atomic<int64_t> next = 0;
  context.pool.run([&](Worker& worker) {
    const Range mine = worker.split(blocks);
    for (int64_t block = mine.begin; block < mine.end; ++block) {
      const void* lanes[kLanes];
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const int64_t col = block * kLanes + lane;
        lanes[lane] = col < cols ? b + col * ldb : nullptr;
      }
      f32.pack(lanes, n, packed + block * bytes);
    }
    worker.barrier();
    std::byte* const scratch = own + worker.index * (scratch_bytes + tile_bytes);
    auto* const tile = reinterpret_cast<float*>(scratch + scratch_bytes);
    for_tasks(worker, next, blocks, rows, [&](int64_t block, int64_t count, int64_t row, int64_t size) {
      const int64_t first = block * kLanes, width = count * kLanes, wide = std::min(width, cols - first);
      if (lower) {  // rows above the first column have nothing here
        const int64_t skipped = std::clamp<int64_t>(first - row, 0, size);
        row += skipped;
        size -= skipped;
      }
      if (size == 0) return;
      f32.run(packed + block * bytes, n, count, {.x = a + row * lda, .ldx = lda, .rows = size}, tile, width, scratch);
      for (int64_t r = 0; r < size; ++r) {
        float* const to = out + (row + r) * ldo + first;
        for (int64_t j = 0; j < wide; ++j) to[j] += sign * tile[r * width + j];
      }
    });
  });
}

}  // namespace

void add_gram(const graph::Context& context, const float* x, int64_t ldx, int64_t cols, int64_t n, float sign,
              float* out, int64_t ld) {
  multiply(context, x, ldx, cols, x, ldx, cols, n, sign, true, out, ld);
}

void add_product(const graph::Context& context, const float* a, int64_t lda, int64_t rows, const float* b, int64_t ldb,
                 int64_t cols, int64_t n, float* out, int64_t ldo) {
  multiply(context, a, lda, rows, b, ldb, cols, n, 1, false, out, ldo);
}

}  // namespace miao::compress
