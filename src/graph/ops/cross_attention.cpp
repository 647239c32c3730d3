// Attention of a decoder to what an encoder has made of its input. Keys and values are stored once, by the encoder's
// program; every row of the decoder sees all of them. Slices that stand side by side and have the same input (beams,
// samples of one prompt) attend together, so that its keys and values are read once for all.
#include <algorithm>

#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

constexpr int64_t kTileRows = 128;  // queries of a task at most

class StoreMemory final : public Step {
 public:
  StoreMemory(std::string name, const CrossAttention& a, Buffer* kv) : Step(std::move(name), {kv}, kv), a_(a), in_(kv) {
    MIAO_CHECK(a.v + a.heads * a.head_dim <= kv->cols);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const Range mine = worker.split(io.rows);
    for (const PassSlice& s : io.pass.slices) {
      const int64_t begin = std::max(mine.begin, s.row), end = std::min(mine.end, s.row + s.rows);
      for (int64_t row = begin; row < end; ++row) store(io, s, row);
    }
  }

 private:
  void store(const StepIo& io, const PassSlice& s, int64_t row) const {
    const int64_t position = s.position + row - s.row;
    const auto slot = static_cast<int>(position % kernels::kPage), dim = static_cast<int>(a_.head_dim);
    const kernels::KvKernels& kv = io.kernels.kv_of(a_.kv);
    for (int64_t h = 0; h < a_.heads; ++h) {
      const int64_t page = (a_.layer * a_.heads + h) * s.kv.capacity + position / kernels::kPage;
      kv.store_k(const_cast<void*>(s.kv.k[page]), slot, in_->row(row) + a_.k + h * dim, dim);
      kv.store_v(const_cast<void*>(s.kv.v[page]), slot, in_->row(row) + a_.v + h * dim, dim);
    }
  }

  CrossAttention a_;
  Buffer* in_;
};

class CrossAttentionStep final : public Step {
 public:
  CrossAttentionStep(std::string name, const CrossAttention& a, Buffer* q, Buffer* out)
      : Step(std::move(name), {q, out}, out), a_(a), q_(q), out_(out) {
    MIAO_CHECK(out->cols == a.heads * a.head_dim && q->cols >= out->cols);
  }

  void run(const Worker& worker, const StepIo& io) override {
    const auto slices = io.pass.slices;
    int64_t base = 0;  // tasks before the group in hand
    int64_t task = worker.next(next_);
    for (size_t i = 0; i < slices.size();) {
      const PassSlice& s = slices[i];
      int64_t rows = 0;
      for (; i < slices.size() && slices[i].memory.k == s.memory.k; ++i) rows += slices[i].rows;
      const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
      for (; task < base + tiles * a_.heads; task = worker.next(next_)) {
        const int64_t first = (task - base) % tiles * kTileRows;
        attend(io, s, (task - base) / tiles, s.row + first, std::min(kTileRows, rows - first));
      }
      base += tiles * a_.heads;
    }
  }

  int64_t own_bytes(int64_t) const override { return kernels::attention_scratch(a_.kv, a_.head_dim, 1); }

 private:
  void attend(const StepIo& io, const PassSlice& s, int64_t head, int64_t row, int64_t count) const {
    const int64_t page = (a_.layer * a_.heads + head) * s.memory.capacity;
    kernels::AttentionArgs args;
    args.q = q_->row(row) + head * a_.head_dim;
    args.ldq = q_->stride;
    args.out = out_->row(row) + head * a_.head_dim;
    args.ldo = out_->stride;
    args.queries = static_cast<int>(count);
    args.head_dim = static_cast<int>(a_.head_dim);
    args.k_pages = s.memory.k + page;
    args.v_pages = s.memory.v + page;
    args.causal = false;
    args.keys = s.memory_rows;
    args.scale = a_.scale;
    args.scratch = io.own;
    io.kernels.kv_of(a_.kv).attention(args);
  }

  CrossAttention a_;
  Buffer *q_, *out_;
};

}  // namespace

void add_store_memory(Program& program, std::string name, const CrossAttention& attention, Buffer* kv) {
  program.add<StoreMemory>(std::move(name), attention, kv);
}

void add_cross_attention(Program& program, std::string name, const CrossAttention& attention, Buffer* q, Buffer* out) {
  program.add<CrossAttentionStep>(std::move(name), attention, q, out);
}

}  // namespace miao::graph
