// Attention of encoders. A task is a tile of queries of one head of one slice: it brings the keys and values of its
// head into pages of the thread's own, then attends. Tiles of one head repeat that copy, which costs a hundredth of
// their arithmetic and saves a barrier and a cache in shared memory.
#include <algorithm>

#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

using kernels::kPage;

constexpr int64_t kTileRows = 128;
constexpr kernels::KvType kType = kernels::KvType::f32;

class SelfAttentionStep final : public Step {
 public:
  SelfAttentionStep(std::string name, const SelfAttention& a, Buffer* qkv, Buffer* rotation, Buffer* out)
      : Step(std::move(name), rotation ? std::vector{qkv, rotation, out} : std::vector{qkv, out}, out),
        a_(a),
        qkv_(qkv),
        rotation_(rotation),
        out_(out) {
    MIAO_CHECK(out->cols == a.heads * a.head_dim && (rotation ? rotation->cols : 0) == 2 * a.half);
    MIAO_CHECK(a.v + a.heads * a.head_dim <= qkv->cols && 2 * a.half <= a.head_dim);
  }

  void run(const Worker& worker, const StepIo& io) override {
    if (rotation_) {
      const Range mine = worker.split(io.rows);
      for (int64_t row = mine.begin; row < mine.end; ++row) rotate(io, row);
      worker.barrier();
    }
    int64_t base = 0;  // tasks before the slice
    int64_t task = worker.next(next_);
    for (const PassSlice& s : io.pass.slices) {
      const int64_t tiles = (s.rows + kTileRows - 1) / kTileRows;
      for (; task < base + tiles * a_.heads; task = worker.next(next_)) {
        attend(io, s, (task - base) / tiles, (task - base) % tiles * kTileRows);
      }
      base += tiles * a_.heads;
    }
  }

  int64_t own_bytes(int64_t max_rows) const override { return layout(max_rows).bytes; }

 private:
  // Of one thread: kernel scratch | page pointers of K and V | pages of K | pages of V.
  struct Layout {
    int64_t pointers, k, v, page, bytes;
  };
  Layout layout(int64_t rows) const {
    const int64_t pages = (rows + kPage - 1) / kPage;
    Layout l{};
    l.page = kernels::page_bytes(kType, a_.head_dim);
    l.pointers = kernels::round_up(kernels::attention_scratch(kType, a_.head_dim, 1), 64);
    l.k = l.pointers + kernels::round_up(2 * pages * static_cast<int64_t>(sizeof(void*)), 64);
    l.v = l.k + pages * l.page;
    l.bytes = l.v + pages * l.page;
    return l;
  }

  void rotate(const StepIo& io, int64_t row) const {
    const float* const cos = rotation_->row(row);
    for (const int64_t column : {a_.q, a_.k}) {
      io.kernels.rope(qkv_->row(row) + column, a_.heads, a_.head_dim, a_.half, false, cos, cos + a_.half);
    }
  }

  void attend(const StepIo& io, const PassSlice& s, int64_t head, int64_t first) const {
    const Layout l = layout(s.rows);
    const int64_t pages = (s.rows + kPage - 1) / kPage, column = head * a_.head_dim;
    auto* const k = reinterpret_cast<const void**>(io.own + l.pointers);
    const void** const v = k + pages;
    for (int64_t p = 0; p < pages; ++p) {
      k[p] = io.own + l.k + p * l.page;
      v[p] = io.own + l.v + p * l.page;
    }
    const kernels::KvKernels& kv = io.kernels.kv_of(kType);
    for (int64_t t = 0; t < s.rows; ++t) {
      const float* const row = qkv_->row(s.row + t) + column;
      const auto slot = static_cast<int>(t % kPage), dim = static_cast<int>(a_.head_dim);
      kv.store_k(const_cast<void*>(k[t / kPage]), slot, row + a_.k, dim);
      kv.store_v(const_cast<void*>(v[t / kPage]), slot, row + a_.v, dim);
    }
    kernels::AttentionArgs args;
    args.q = qkv_->row(s.row + first) + a_.q + column;
    args.ldq = qkv_->stride;
    args.out = out_->row(s.row + first) + column;
    args.ldo = out_->stride;
    args.queries = static_cast<int>(std::min(kTileRows, s.rows - first));
    args.first = first;
    args.head_dim = static_cast<int>(a_.head_dim);
    args.k_pages = k;
    args.v_pages = v;
    args.causal = false;
    args.keys = s.rows;
    args.window = a_.window;
    args.scale = a_.scale;
    if (a_.bias) {
      MIAO_DCHECK(s.rows + kPage <= a_.reach);
      args.bias = a_.bias + head * (2 * a_.reach + 1) + a_.reach;
    }
    args.scratch = io.own;
    kv.attention(args);
  }

  SelfAttention a_;
  Buffer *qkv_, *rotation_, *out_;
};

}  // namespace

void add_self_attention(Program& program, std::string name, const SelfAttention& attention, Buffer* qkv,
                        Buffer* rotation, Buffer* out) {
  program.add<SelfAttentionStep>(std::move(name), attention, qkv, rotation, out);
}

}  // namespace miao::graph
