// Matrix products. Threads own blocks of 16 output columns, never parts of a sum. While one sweep takes all rows, each
// thread streams one contiguous range of the weight; with more rows small tasks are handed out one by one, so that a
// delayed thread does not hold up the others. What follows a product (bias, residual, activation) is done by the same
// thread at once.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "graph/ops.h"
#include "graph/ops/input.h"

namespace miao::graph {

namespace {

using kernels::kFewRows;
using kernels::kTileRows;
using kernels::round_up;

constexpr int64_t kManyRowBlocks = 4;  // of a task at most: 64 columns of some hundred rows stay in the L2 cache
constexpr int64_t kTasksAThread = 8;   // at least, where there are blocks enough: no thread waits long for the last
constexpr int64_t kSweepRows = 2 * kTileRows;  // that one sweep over the weights takes
constexpr int64_t kSweepFloats = 16 * 384;     // of a sweep between epilogues: 24 KB of results
constexpr int64_t kFewRowBlocks = 64;          // of few rows between epilogues: 16 KB

// Calls body(range of blocks) until all blocks are done.
template <class Body>
void for_blocks(const Worker& worker, std::atomic<int64_t>& next, int64_t blocks, int64_t rows, const Body& body) {
  if (rows <= kSweepRows) {
    const Range mine = worker.split(blocks);
    const int64_t most = rows <= kFewRows ? kFewRowBlocks : kSweepFloats / kernels::kLanes / round_up(rows, kTileRows);
    const int64_t calls = (mine.size() + most - 1) / most;
    const int64_t step = calls > 0 ? (mine.size() + calls - 1) / calls : 1;  // of equal length
    for (int64_t b = mine.begin; b < mine.end; b += step) body(Range{b, std::min(b + step, mine.end)});
    return;
  }
  // Pairs of blocks, because the AVX-512 kernel takes two at once.
  const int64_t pairs = blocks / (2 * kTasksAThread * worker.count);
  const int64_t step = std::clamp<int64_t>(2 * pairs, 2, kManyRowBlocks);
  for (int64_t b; (b = worker.next(next) * step) < blocks;) body(Range{b, std::min(b + step, blocks)});
}

int64_t tile_floats(int64_t max_rows) {
  return std::max(
      {kFewRows * kFewRowBlocks * kernels::kLanes, kSweepFloats, max_rows * kManyRowBlocks * kernels::kLanes});
}

class LinearStep : public Step {
 public:
  LinearStep(std::string name, const Linear& linear, std::optional<Norm> norm, Buffer* in, Buffer* out, int tiles)
      : Step(std::move(name), {in, out}, out), linear_(linear), input_(linear, norm, in), out_(out), tiles_(tiles) {}

  int64_t own_bytes(int64_t max_rows) const override {
    return tiles_offset() + tiles_ * tile_floats(max_rows) * static_cast<int64_t>(sizeof(float));
  }
  int64_t shared_bytes(int64_t max_rows) const override { return input_.shared_bytes(max_rows); }

 protected:
  // Own memory: input | kernel scratch | tiles.
  int64_t scratch_offset() const { return round_up(input_.own_bytes(), 64); }
  int64_t tiles_offset() const { return scratch_offset() + round_up(linear_.scratch_bytes(), 64); }
  float* tile(const StepIo& io) const { return reinterpret_cast<float*>(io.own + tiles_offset()); }
  // y = product + bias, in the kernel where it can.
  void multiply(Range blocks, const kernels::Activations& in, float* y, int64_t ldy, const StepIo& io) const {
    std::byte* const scratch = io.own + scratch_offset();
    if (linear_.adds()) return linear_.run_add(blocks, in, false, y, ldy, scratch);
    linear_.run(blocks, in, y, ldy, scratch);
    const int64_t column = 16 * blocks.begin, count = 16 * blocks.size();
    for (int64_t t = 0; linear_.bias() && t < in.rows; ++t)
      io.kernels.add(y + t * ldy, linear_.bias() + column, count, y + t * ldy);
  }

  const Linear& linear_;
  Input input_;
  Buffer* out_;
  int tiles_;
};

class Assign final : public LinearStep {
 public:
  Assign(std::string name, const Linear& linear, std::optional<Norm> norm, Buffer* in, Buffer* out)
      : LinearStep(std::move(name), linear, norm, in, out, 0) {
    MIAO_CHECK(out->stride >= linear.width());
  }

  void run(const Worker& worker, const StepIo& io) override {
    const kernels::Activations in = input_.prepare(worker, io);
    for_blocks(worker, next_, linear_.blocks(), io.rows,
               [&](Range blocks) { multiply(blocks, in, out_->data + 16 * blocks.begin, out_->stride, io); });
  }
};

class Accumulate final : public LinearStep {
 public:
  Accumulate(std::string name, const Linear& linear, std::optional<Norm> norm, Buffer* in, Buffer* out, float factor)
      : LinearStep(std::move(name), linear, norm, in, out, 1), factor_(factor) {
    MIAO_CHECK(out->stride >= linear.width());
  }

  void run(const Worker& worker, const StepIo& io) override {
    const int64_t rows = io.rows;
    const kernels::Activations in = input_.prepare(worker, io);
    float* const y = tile(io);
    for_blocks(worker, next_, linear_.blocks(), rows, [&](Range blocks) {
      const int64_t column = 16 * blocks.begin;
      const int64_t count = 16 * blocks.size();
      if (linear_.adds() && factor_ == 1) {
        return linear_.run_add(blocks, in, true, out_->data + column, out_->stride, io.own + scratch_offset());
      }
      multiply(blocks, in, y, count, io);
      for (int64_t t = 0; t < rows; ++t) {
        if (factor_ != 1) io.kernels.scale(y + t * count, factor_, count);
        io.kernels.add(out_->row(t) + column, y + t * count, count, out_->row(t) + column);
      }
    });
  }

 private:
  float factor_;
};

class Activated final : public LinearStep {
 public:
  Activated(std::string name, const Linear& linear, kernels::Act act, std::optional<Norm> norm, Buffer* in, Buffer* out)
      : LinearStep(std::move(name), linear, norm, in, out, 1), act_(act) {
    MIAO_CHECK(linear.parts() == 1 && out->stride >= linear.width());
  }

  void run(const Worker& worker, const StepIo& io) override {
    const int64_t rows = io.rows;
    const kernels::Activations in = input_.prepare(worker, io);
    for_blocks(worker, next_, linear_.blocks(), rows, [&](Range blocks) {
      const int64_t column = 16 * blocks.begin;
      const int64_t count = 16 * blocks.size();
      multiply(blocks, in, out_->data + column, out_->stride, io);
      for (int64_t t = 0; t < rows; ++t) io.kernels.activate(act_, out_->row(t) + column, count);
    });
  }

 private:
  kernels::Act act_;
};

class Gated final : public LinearStep {
 public:
  Gated(std::string name, const Linear& linear, kernels::Act act, std::optional<Norm> norm, Buffer* in, Buffer* out)
      : LinearStep(std::move(name), linear, norm, in, out, 2), act_(act) {
    MIAO_CHECK(linear.parts() == 2 && linear.rows(0) == linear.rows(1) && out->cols == linear.rows(0));
  }

  void run(const Worker& worker, const StepIo& io) override {
    const int64_t rows = io.rows;
    const kernels::Activations in = input_.prepare(worker, io);
    const int64_t half = linear_.part_blocks(0);
    float* const gate = tile(io);
    for_blocks(worker, next_, half, rows, [&](Range blocks) {
      const int64_t column = 16 * blocks.begin;
      const int64_t count = 16 * blocks.size();
      float* const up = gate + rows * count;
      multiply(blocks, in, gate, count, io);
      multiply({half + blocks.begin, half + blocks.end}, in, up, count, io);
      for (int64_t t = 0; t < rows; ++t) {
        io.kernels.gated(act_, gate + t * count, up + t * count, count, out_->row(t) + column);
      }
    });
  }

 private:
  kernels::Act act_;
};

// The last product, straight to the caller's memory.
class LogitsStep final : public LinearStep {
 public:
  LogitsStep(std::string name, const Linear& linear, const Logits& logits, Buffer* x)
      : LinearStep(std::move(name), linear, logits.norm, x, x, 0), factor_(logits.factor), softcap_(logits.softcap) {}

  void run(const Worker& worker, const StepIo& io) override {
    const kernels::Activations in = input_.prepare(worker, io);
    const int64_t ld = io.pass.ld_logits;
    for_blocks(worker, next_, linear_.blocks(), io.rows, [&](Range blocks) {
      const int64_t column = 16 * blocks.begin;
      const int64_t count = 16 * blocks.size();
      float* const y = io.pass.logits + column;
      multiply(blocks, in, y, ld, io);
      for (int64_t t = 0; t < io.rows; ++t) {
        if (factor_ != 1) io.kernels.scale(y + t * ld, factor_, count);
        if (softcap_ > 0) io.kernels.softcap(y + t * ld, softcap_, count);
      }
    });
  }

  View output(const StepIo& io) const override { return {io.pass.logits, io.rows, linear_.rows(0), io.pass.ld_logits}; }

 private:
  float factor_, softcap_;
};

}  // namespace

void add_linear(Program& program, std::string name, const Linear& linear, std::optional<Norm> norm, Buffer* in,
                Store store, Buffer* out, float factor) {
  if (store == Store::assign) {
    MIAO_CHECK(factor == 1);
    program.add<Assign>(std::move(name), linear, norm, in, out);
  } else {
    program.add<Accumulate>(std::move(name), linear, norm, in, out, factor);
  }
}

void add_activated(Program& program, std::string name, const Linear& linear, kernels::Act act, std::optional<Norm> norm,
                   Buffer* in, Buffer* out) {
  if (linear.parts() == 2) {
    program.add<Gated>(std::move(name), linear, act, norm, in, out);
  } else {
    program.add<Activated>(std::move(name), linear, act, norm, in, out);
  }
}

void add_logits(Program& program, std::string name, const Linear& linear, const Logits& logits, Buffer* x) {
  program.add<LogitsStep>(std::move(name), linear, logits, x);
}

}  // namespace miao::graph
