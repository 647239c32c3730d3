// Program: a flat list of named steps that computes one Pass.
//
// All threads run every step together inside one parallel region, with a barrier after each step; a step splits its own
// work by rows, columns or heads. Buffers are declared with their columns; plan() lays them out for a maximum number of
// rows, reusing memory of buffers whose last reader has run, so the memory is known before anything runs.
//
// select() marks where rows whose logits nobody wants leave: the rows of the given buffers close up, and later steps
// see the wanted rows only. A piece of a prompt that wants none ends there.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/context.h"
#include "graph/pass.h"

namespace miao::graph {

// Activations (rows, cols) in FP32; `stride` floats a row, a multiple of 16.
struct Buffer {
  std::string name;
  int64_t cols = 0;
  int64_t stride = 0;
  float* data = nullptr;  // set by plan()
  int first_step = -1, last_step = -1;

  float* row(int64_t r) const { return data + r * stride; }
};

struct View {
  const float* data = nullptr;
  int64_t rows = 0, cols = 0, stride = 0;
};

class Linear;
// fn(linear, the rows that it is about to be multiplied with, in FP32 before any rounding of activations).
using ReadTap = std::function<void(const Linear& linear, const View& in)>;

// What a step gets besides its own buffers.
struct StepIo {
  const Pass& pass;
  const kernels::Kernels& kernels;
  int64_t rows = 0;                // of the pass; behind select() the wanted ones
  std::byte* own = nullptr;        // own_bytes() private to the thread, 64-byte aligned
  std::byte* shared = nullptr;     // shared_bytes() of all threads, valid during this step
  const ReadTap* reads = nullptr;  // the first thread calls it; null = off
};

class Step {
 public:
  // `uses`: the buffers it reads or writes. `out`: the one that a tap sees; null when run() writes none.
  Step(std::string name, std::vector<Buffer*> uses, const Buffer* out)
      : name_(std::move(name)), uses_(std::move(uses)), out_(out) {}
  virtual ~Step() = default;
  virtual void run(const Worker& worker, const StepIo& io) = 0;
  virtual int64_t own_bytes(int64_t /*max_rows*/) const { return 0; }
  virtual int64_t shared_bytes(int64_t /*max_rows*/) const { return 0; }
  virtual View output(const StepIo& io) const;

  const std::string& name() const { return name_; }
  std::string_view kind() const;  // the name after its last dot: "qkv" of "blk.3.qkv"

 protected:
  std::atomic<int64_t> next_{0};  // the next task of a step that hands them out one by one; zero when run() starts

 private:
  friend class Program;
  std::string name_;
  std::vector<Buffer*> uses_;
  const Buffer* out_;
};

class Program {
 public:
  explicit Program(const Context& context) : context_(context) {}

  Buffer* buffer(std::string name, int64_t cols);  // lives as long as the Program
  // Constants that steps read; they live as long as the Program.
  const float* keep(std::vector<float> values) { return kept_.emplace_back(std::move(values)).data(); }
  void add(std::unique_ptr<Step> step);
  template <class S, class... Args>
  void add(Args&&... args) {
    add(std::make_unique<S>(std::forward<Args>(args)...));
  }

  void select(std::vector<Buffer*> buffers);  // once
  // The next step begins a block. Of all that the steps of blocks write, only `carried` goes from one to the next.
  void begin_block(Buffer* carried);
  void end_blocks();  // the next step is behind the last
  int64_t blocks() const { return block_starts_.empty() ? 0 : static_cast<int64_t>(block_starts_.size()) - 1; }

  Result<void> plan(int64_t max_rows);
  int64_t bytes() const { return static_cast<int64_t>(memory_.size()); }  // after plan()
  void clear();                                                           // steps, buffers and constants; taps stay
  // At most max_rows rows. False: cancelled, nothing that the pass should have written can be used.
  bool run(const Pass& pass);
  // Some blocks of it, behind the steps that stand in front of all. Where they give `out`, every row must be wanted.
  bool run(const Pass& pass, const Blocks& blocks);

  // fn(step name, its output) after each step, on the calling thread while the others wait. Empty = off.
  using Tap = std::function<void(std::string_view name, const View& out)>;
  void tap(Tap fn) { tap_ = std::move(fn); }
  // What every product reads, while the other threads wait or go on. Empty = off.
  void tap_reads(ReadTap fn) { reads_ = std::move(fn); }
  // Seconds per kind of step since it was switched on.
  void profile(bool on);
  std::vector<std::pair<std::string, double>> profile() const;
  double block_seconds() const;  // of the steps of blocks, of the same

 private:
  int64_t place_buffers(int64_t max_rows, std::vector<int64_t>& offsets) const;
  bool run_on_pool(const Pass& pass, const Blocks& blocks);
  void run_steps(const Worker& worker, const Pass& pass, const Blocks& blocks);
  void run_watched(const Worker& worker, size_t index, const StepIo& io);

  Context context_;
  std::deque<Buffer> buffers_;
  std::deque<std::vector<float>> kept_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<Buffer*> selected_;
  size_t select_at_ = SIZE_MAX;  // the first step behind select()
  Buffer* carried_ = nullptr;
  std::vector<size_t> block_starts_;  // the first step of each block, and the one behind the last
  int64_t max_rows_ = 0;
  int64_t own_bytes_ = 0;
  Memory memory_;  // buffers | shared scratch | own scratch of each thread
  std::byte* shared_ = nullptr;
  std::byte* own_ = nullptr;
  std::atomic<size_t> last_step_{SIZE_MAX};  // of a cancelled pass
  Tap tap_;
  ReadTap reads_;
  std::vector<double> seconds_;  // per step; empty = off
};

}  // namespace miao::graph
