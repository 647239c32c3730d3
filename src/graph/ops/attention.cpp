// Q/K norm, rotation, KV store and attention of one layer.
//
// While every slice brings few rows (decode), one task is a KV head of a slice from the rotation to the output: no
// thread waits. A longer slice is rotated and stored by rows, then a barrier, then tasks of (slice, KV head, query
// tile), those with the most keys first.
#include <algorithm>

#include "base/check.h"
#include "graph/ops.h"

namespace miao::graph {

namespace {

constexpr int64_t kFusedRows = 16;  // of the longest slice, at most, for one task from rotation to output
constexpr int64_t kTileRows = 128;  // queries x heads of a later task: what the kernel takes through a page at once

class AttentionStep final : public Step {
 public:
  AttentionStep(std::string name, const Attention& a, Buffer* qkv, Buffer* rotation, Buffer* out)
      : Step(std::move(name), rotation ? std::vector{qkv, rotation, out} : std::vector{qkv, out}, out),
        a_(a),
        group_(a.heads / a.kv_heads),
        qkv_(qkv),
        rotation_(rotation),
        out_(out) {
    MIAO_CHECK(a.heads % a.kv_heads == 0 && out->cols == a.heads * a.head_dim && 2 * a.half <= a.head_dim);
    MIAO_CHECK(a.v + a.kv_heads * a.head_dim <= qkv->cols && (rotation ? rotation->cols : 0) == 2 * a.half);
    MIAO_CHECK(!a.q_norm || (a.q_norm->size == a.head_dim && a.k_norm && a.k_norm->size == a.head_dim));
  }

  void run(const Worker& worker, const StepIo& io) override {
    int64_t longest = 0;
    for (const PassSlice& s : io.pass.slices) longest = std::max(longest, s.rows);
    if (longest <= kFusedRows) {
      const auto tasks = static_cast<int64_t>(io.pass.slices.size()) * a_.kv_heads;
      const auto slice = [&](int64_t task) -> const PassSlice& {
        return io.pass.slices[static_cast<size_t>(task / a_.kv_heads)];
      };
      // The task after this one is taken early, so that its first page comes from memory beside this one's work.
      for (int64_t task = worker.next(next_), after; task < tasks; task = after) {
        after = worker.next(next_);
        const PassSlice& s = slice(task);
        const int64_t head = task % a_.kv_heads;
        for (int64_t t = 0; t < s.rows; ++t) rotate_and_store(io, s, t, head, 1);
        kernels::AttentionArgs args = arguments(io, s, head, 0, s.rows);
        if (after < tasks) {
          const PassSlice& then = slice(after);
          const int64_t hidden = a_.window > 0 ? std::max<int64_t>(0, then.position + 1 - a_.window) : 0;
          const int64_t page = first_page(then, after % a_.kv_heads) + hidden / kernels::kPage;
          args.k_after = then.kv.k[page];
          args.v_after = then.kv.v[page];
        }
        io.kernels.kv_of(a_.kv).attention(args);
      }
      return;
    }
    const Range mine = worker.split(io.rows);
    for (const PassSlice& s : io.pass.slices) {
      const int64_t begin = std::max(mine.begin, s.row);
      const int64_t end = std::min(mine.end, s.row + s.rows);
      for (int64_t row = begin; row < end; ++row) rotate_and_store(io, s, row - s.row, 0, a_.kv_heads);
    }
    worker.barrier();
    const int64_t tile_rows = std::max<int64_t>(1, kTileRows / group_);
    int64_t base = 0;  // tasks before slice s
    int64_t task = worker.next(next_);
    for (const PassSlice& s : io.pass.slices) {
      const int64_t tiles = (s.rows + tile_rows - 1) / tile_rows;
      for (; task < base + tiles * a_.kv_heads; task = worker.next(next_)) {
        const int64_t tile = tiles - 1 - (task - base) / a_.kv_heads;
        const int64_t first = tile * tile_rows;
        io.kernels.kv_of(a_.kv).attention(
            arguments(io, s, (task - base) % a_.kv_heads, first, std::min(tile_rows, s.rows - first)));
      }
      base += tiles * a_.kv_heads;
    }
  }

  int64_t own_bytes(int64_t) const override { return kernels::attention_scratch(a_.kv, a_.head_dim, group_); }

 private:
  void norm(const StepIo& io, const std::optional<Norm>& n, float* x, int64_t first, int64_t heads) const {
    if (!n) return;
    Norm own = *n;
    for (int64_t h = first; h < first + heads; ++h, x += a_.head_dim) {
      if (a_.norm_each) own.weight = n->weight + h * a_.head_dim;
      own.apply(io.kernels, x, x);
    }
  }

  // Row t of the slice: KV heads first .. first + count - 1 and the query heads that share them.
  void rotate_and_store(const StepIo& io, const PassSlice& s, int64_t t, int64_t first, int64_t count) const {
    float* const row = qkv_->row(s.row + t);
    float* const q = row + a_.q + first * group_ * a_.head_dim;
    float* const k = row + a_.k + first * a_.head_dim;
    const float* const v = row + a_.v + first * a_.head_dim;
    norm(io, a_.q_norm, q, first * group_, count * group_);
    norm(io, a_.k_norm, k, first, count);
    if (rotation_) {
      const float* const cos = rotation_->row(s.row + t);
      const float* const sin = cos + a_.half;
      io.kernels.rope(q, count * group_, a_.head_dim, a_.half, a_.interleaved, cos, sin);
      io.kernels.rope(k, count, a_.head_dim, a_.half, a_.interleaved, cos, sin);
    }
    const int64_t position = s.position + t;
    const auto slot = static_cast<int>(position % kernels::kPage);
    const kernels::KvKernels& kv = io.kernels.kv_of(a_.kv);
    for (int64_t h = 0; h < count; ++h) {
      const int64_t page = first_page(s, first + h) + position / kernels::kPage;
      const auto dim = static_cast<int>(a_.head_dim);
      kv.store_k(const_cast<void*>(s.kv.k[page]), slot, k + h * a_.head_dim, dim);
      kv.store_v(const_cast<void*>(s.kv.v[page]), slot, v + h * a_.head_dim, dim);
    }
  }

  int64_t first_page(const PassSlice& s, int64_t kv_head) const {
    return (a_.layer * a_.kv_heads + kv_head) * s.kv.capacity;
  }

  // Queries first .. first + count - 1 of the slice, of the heads that share one KV head.
  kernels::AttentionArgs arguments(const StepIo& io, const PassSlice& s, int64_t kv_head, int64_t first,
                                   int64_t count) const {
    const int64_t head = kv_head * group_;
    const int64_t pages = first_page(s, kv_head);
    kernels::AttentionArgs args;
    args.q = qkv_->row(s.row + first) + a_.q + head * a_.head_dim;
    args.ldq = qkv_->stride;
    args.out = out_->row(s.row + first) + head * a_.head_dim;
    args.ldo = out_->stride;
    args.queries = static_cast<int>(count);
    args.first = s.position + first;
    args.group = static_cast<int>(group_);
    args.head_dim = static_cast<int>(a_.head_dim);
    args.k_pages = s.kv.k + pages;
    args.v_pages = s.kv.v + pages;
    args.window = a_.window;
    args.scale = a_.scale;
    args.softcap = a_.softcap;
    if (a_.bias) {
      args.ld_bias = 2 * a_.reach + 1;
      args.bias = a_.bias + head * args.ld_bias + a_.reach;
    }
    args.scratch = io.own;
    return args;
  }

  Attention a_;
  int64_t group_;
  Buffer *qkv_, *rotation_, *out_;
};

}  // namespace

void add_attention(Program& program, std::string name, const Attention& attention, Buffer* qkv, Buffer* rotation,
                   Buffer* out) {
  program.add<AttentionStep>(std::move(name), attention, qkv, rotation, out);
}

}  // namespace miao::graph
