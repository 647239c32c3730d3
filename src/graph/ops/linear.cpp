// Matrix products. Threads own outputs, never parts of a sum:
//
//   few rows    one sweep takes them all: each thread streams one contiguous range of the weight
//   more        small tasks of columns are handed out one by one, so that a delayed thread does not hold up the others
//   very many   each thread takes its own rows through all columns: what it wrote in the step before, and now prepares,
//               is in its own cache; lines that another core has written cost as much as a third of the time
//
// Of very many rows those that fit the L2 cache meet all columns before the next come. What follows a product (bias,
// residual, activation) is done by the same thread at once.
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

// Of a task of many rows: 64 columns of some hundred rows stay in the L2 cache. Kernels that read parts fetch the
// blocks behind those at work, so they get more at a time. There are some tasks for each thread, where there are blocks
// enough: no thread waits long for the last.
struct TaskSize {
  int64_t blocks, a_thread;
};
constexpr TaskSize kNarrow{4, 8}, kWide{12, 2};
constexpr int64_t kOwnRows = 128;  // a thread, at least, for rows of its own: else the weights are read too often
constexpr int64_t kGroupBytes = 800 << 10;     // of activations in the L2 cache
constexpr int64_t kSweepRows = 2 * kTileRows;  // that one sweep over the weights takes
constexpr int64_t kSweepFloats = 16 * 384;     // of a sweep between epilogues: 24 KB of results
constexpr int64_t kFewRowBlocks = 64;          // of few rows between epilogues: 16 KB

// Rows that meet all columns before the next come.
int64_t group_rows(int64_t row_bytes) {
  return round_up(std::max(kGroupBytes / row_bytes, 2 * kSweepRows), kSweepRows);
}

// Calls body(range of blocks, range of rows) until all is done. `row_bytes`: what a product reads of a row at a time.
template <class Body>
void for_blocks(const Worker& worker, std::atomic<int64_t>& next, int64_t blocks, int64_t rows, int64_t row_bytes,
                TaskSize size, const Body& body) {
  if (rows <= kSweepRows) {
    const Range mine = worker.split(blocks);
    const int64_t most = rows <= kFewRows ? kFewRowBlocks : kSweepFloats / kernels::kLanes / round_up(rows, kTileRows);
    const int64_t calls = (mine.size() + most - 1) / most;
    const int64_t step = calls > 0 ? (mine.size() + calls - 1) / calls : 1;  // of equal length
    for (int64_t b = mine.begin; b < mine.end; b += step) body(Range{b, std::min(b + step, mine.end)}, Range{0, rows});
    return;
  }
  const int64_t most = group_rows(row_bytes);
  const bool own = rows >= kOwnRows * worker.count;
  const Range units =
      own ? worker.split((rows + kSweepRows - 1) / kSweepRows) : Range{0, (rows + kSweepRows - 1) / kSweepRows};
  const int64_t groups = (units.size() * kSweepRows + most - 1) / most;
  // Pairs of blocks, because kernels take two at once.
  const int64_t pairs = own ? blocks : groups * blocks / (2 * size.a_thread * worker.count);
  const int64_t step = std::clamp<int64_t>(2 * pairs, 2, size.blocks), pieces = (blocks + step - 1) / step;
  int64_t task = own ? 0 : worker.next(next);
  for (; task < groups * pieces; task = own ? task + 1 : worker.next(next)) {
    const auto row = [&](int64_t group) {
      return std::min((units.begin + units.size() * group / groups) * kSweepRows, rows);
    };
    const int64_t group = task / pieces, b = task % pieces * step;
    body(Range{b, std::min(b + step, blocks)}, Range{row(group), row(group + 1)});
  }
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
  // Of the results of a task, between product and epilogue.
  int64_t tile_floats(int64_t max_rows) const {
    const int64_t rows = std::min(max_rows, group_rows(input_.row_bytes()));
    return std::max({kFewRows * kFewRowBlocks * kernels::kLanes, kSweepFloats, rows * task().blocks * kernels::kLanes});
  }
  TaskSize task() const { return linear_.reads_parts() ? kWide : kNarrow; }
  // Own memory: input | kernel scratch | tiles.
  int64_t scratch_offset() const { return round_up(input_.own_bytes(), 64); }
  int64_t tiles_offset() const { return scratch_offset() + round_up(linear_.scratch_bytes(), 64); }
  kernels::Activations prepare(const Worker& worker, const StepIo& io) const {
    const kernels::Activations in = input_.prepare(worker, io);
    if (io.reads && worker.index == 0) (*io.reads)(linear_, {in.x, in.rows, linear_.cols(), in.ldx});
    return in;
  }
  // body(range of blocks, range of rows, the activations of these).
  template <class Body>
  void for_tasks(const Worker& worker, int64_t blocks, const kernels::Activations& in, const Body& body) {
    for_blocks(worker, next_, blocks, in.rows, input_.row_bytes(), task(),
               [&](Range columns, Range rows) { body(columns, rows, in.part(rows.begin, rows.size())); });
  }
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
    const kernels::Activations in = prepare(worker, io);
    for_tasks(worker, linear_.blocks(), in, [&](Range blocks, Range rows, const kernels::Activations& part) {
      multiply(blocks, part, out_->row(rows.begin) + 16 * blocks.begin, out_->stride, io);
    });
  }
};

class Accumulate final : public LinearStep {
 public:
  Accumulate(std::string name, const Linear& linear, std::optional<Norm> norm, Buffer* in, Buffer* out, float factor)
      : LinearStep(std::move(name), linear, norm, in, out, 1), factor_(factor) {
    MIAO_CHECK(out->stride >= linear.width());
  }

  void run(const Worker& worker, const StepIo& io) override {
    const kernels::Activations in = prepare(worker, io);
    float* const y = tile(io);
    for_tasks(worker, linear_.blocks(), in, [&](Range blocks, Range rows, const kernels::Activations& part) {
      const int64_t count = 16 * blocks.size();
      float* const out = out_->row(rows.begin) + 16 * blocks.begin;
      if (linear_.adds() && factor_ == 1) {
        return linear_.run_add(blocks, part, true, out, out_->stride, io.own + scratch_offset());
      }
      multiply(blocks, part, y, count, io);
      for (int64_t t = 0; t < rows.size(); ++t) {
        if (factor_ != 1) io.kernels.scale(y + t * count, factor_, count);
        io.kernels.add(out + t * out_->stride, y + t * count, count, out + t * out_->stride);
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
    const kernels::Activations in = prepare(worker, io);
    for_tasks(worker, linear_.blocks(), in, [&](Range blocks, Range rows, const kernels::Activations& part) {
      float* const out = out_->row(rows.begin) + 16 * blocks.begin;
      multiply(blocks, part, out, out_->stride, io);
      for (int64_t t = 0; t < rows.size(); ++t) io.kernels.activate(act_, out + t * out_->stride, 16 * blocks.size());
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
    const kernels::Activations in = prepare(worker, io);
    const int64_t half = linear_.part_blocks(0);
    float* const gate = tile(io);
    for_tasks(worker, half, in, [&](Range blocks, Range rows, const kernels::Activations& part) {
      const int64_t count = 16 * blocks.size();
      float* const up = gate + rows.size() * count;
      multiply(blocks, part, gate, count, io);
      multiply({half + blocks.begin, half + blocks.end}, part, up, count, io);
      for (int64_t t = 0; t < rows.size(); ++t) {
        float* const out = out_->row(rows.begin + t) + 16 * blocks.begin;
        io.kernels.gated(act_, gate + t * count, up + t * count, count, out);
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
    const kernels::Activations in = prepare(worker, io);
    const int64_t ld = io.pass.ld_logits;
    for_tasks(worker, linear_.blocks(), in, [&](Range blocks, Range rows, const kernels::Activations& part) {
      const int64_t count = 16 * blocks.size();
      float* const y = io.pass.logits + rows.begin * ld + 16 * blocks.begin;
      multiply(blocks, part, y, ld, io);
      for (int64_t t = 0; t < rows.size(); ++t) {
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
