// Attention of the queries of one sequence and KV head over its pages, with online softmax in FP32.
//
// Tiles are pages: 64 keys at absolute positions, in rising order. Per query row and tile:
//   score[key]  = sum over d, in order, of q[d] * K[d][key]          (lanes are keys), scaled, capped, plus its bias
//   top'        = max(top, max score);  p[key] = exp(score - top'), 0 where the key is hidden
//   sum[d]      = sum[d] * exp(top - top') + p[key] * V[key][d], visible keys in order   (lanes are dimensions)
//   weight      = weight * exp(top - top') + tree(p)
// A row's operations depend on its own position alone, so one query, a prompt in chunks and a batch give the same bits.
// Hidden keys are left out rather than multiplied by 0: what a page holds beyond the sequence does not matter.
//
// Speed: blocks of up to kRows query rows share each load of K and V. The three stages run over all rows of a tile in
// turn, so that a widened K or V page stays in the first cache; where several blocks use a page of 16-bit elements it
// is widened to scratch first, which changes no value. Where pages are read directly (decoding), they come from memory
// once a token, so the next page is prefetched line by line beside the arithmetic of this one.

#include "kernels/generic/attention_tile.inl"

namespace miao::kernels::MIAO_ISA {
namespace {

// K and V of one page of elements.
template <class E>
struct Page {
  static constexpr int kMost = sizeof(E) == sizeof(float) ? kRows : kDirectRows / 2;
  static constexpr bool kGrouped = false;
  const E *k, *v;
  int64_t dim;
  int head_dim;

  template <int R, int V>
  MIAO_NOINLINE void score(const RowTile& t, int r0, int first, Ahead& ahead) const {
    const Row* const row = t.row + r0;
    float* const p = t.p + r0 * kPage;
    const int64_t step = dim;
    const E* from = k + first * step * 16;
    Vec acc[R][V];
    MIAO_UNROLL for (int r = 0; r < R; ++r) { MIAO_UNROLL for (int c = 0; c < V; ++c) acc[r][c] = set1(0.0f); }
    for (int i = 0, n = head_dim; i < n; ++i) {
      ahead.step();
      Vec key[V];
      MIAO_UNROLL for (int c = 0; c < V; ++c) key[c] = load(from + (c * step + i) * 16);
      MIAO_UNROLL for (int r = 0; r < R; ++r) {
        const Vec x = set1(row[r].q[i]);
        MIAO_UNROLL for (int c = 0; c < V; ++c) acc[r][c] = fma(x, key[c], acc[r][c]);
      }
    }
    MIAO_UNROLL for (int r = 0; r < R; ++r) {
      MIAO_UNROLL for (int c = 0; c < V; ++c) store(p + r * kPage + (first + c) * 16, acc[r][c]);
    }
  }

  template <int R>
  void prepare(const RowTile&, int) {}
  const float* weights(const RowTile& t, int r) const { return t.p + r * kPage; }
  static constexpr int64_t weights_ld() { return kPage; }

  template <int V>
  void values(int key, int64_t c, Vec (&out)[V]) const {
    MIAO_UNROLL for (int i = 0; i < V; ++i) out[i] = load(v + key * dim + (c + i) * 16);
  }
};

template <class E>
inline const float* widen(const E* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += 16) store(to + i, load(from + i));
  return to;
}
inline const float* widen(const float* from, int64_t, float*) { return from; }

template <class E>
void attention(const AttentionArgs& a) {
  constexpr KvType kType = sizeof(E) == sizeof(float) ? KvType::f32 : KvType::f16;  // BF16 is as large
  const AttentionLayout layout = attention_layout(kType, a.head_dim, a.group);
  float* const scratch = static_cast<float*>(a.scratch);
  const int64_t dim = layout.dim, n = kPage * dim;
  each_page(
      a, layout, n * static_cast<int64_t>(sizeof(E)), [](const RowTile&) {},
      [&](const RowTile& t, int64_t i, const Ahead& ahead) {
        const Page<E> page{static_cast<const E*>(a.k_pages[i]), static_cast<const E*>(a.v_pages[i]), dim, a.head_dim};
        if (t.rows <= kDirectRows) return run_page(a, t, i, page, ahead);
        const float *const k = widen(page.k, n, scratch + layout.k), *const v = widen(page.v, n, scratch + layout.v);
        run_page(a, t, i, Page<float>{k, v, dim, a.head_dim}, {});
      },
      [&](const RowTile& t) { finish(a, t); });
}

}  // namespace

void fill_attention(Kernels& table) {
  table.kv[static_cast<size_t>(KvType::f32)].attention = attention<float>;
  table.kv[static_cast<size_t>(KvType::f16)].attention = attention<F16>;
  table.kv[static_cast<size_t>(KvType::bf16)].attention = attention<BF16>;
}

}  // namespace miao::kernels::MIAO_ISA
