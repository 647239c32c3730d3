// Attention of the queries of one sequence and KV head over its pages, with online softmax in FP32.
//
// Tiles are pages: 64 keys at absolute positions, in rising order. Per query row and tile:
//   score[key]  = sum over d, in order, of q[d] * K[d][key]          (lanes are keys)
//   top'        = max(top, max score);  p[key] = exp(score - top'), 0 where the key is hidden
//   sum[d]      = sum[d] * exp(top - top') + p[key] * V[key][d], visible keys in order   (lanes are dimensions)
//   weight      = weight * exp(top - top') + tree(p)
// A row's operations depend on its own position alone, so one query, a prompt in chunks and a batch give the same bits.
// Hidden keys are left out rather than multiplied by 0: what a page holds beyond the sequence does not matter.
//
// Speed: blocks of up to kRows query rows share each load of K and V; where several blocks use a page of 16-bit
// elements it is widened to scratch first, which changes no value.

#include "kernels/generic/attention_layout.h"
#include "kernels/generic/math.inl"
#include "kernels/generic/parts.h"

namespace miao::kernels::MIAO_ISA {
namespace {

constexpr int kRows = 6;

// The visible keys of one row in one tile: begin <= key < end.
struct Keys {
  int begin, end;
};

// A block of query rows at one tile.
struct RowBlock {
  const float* q[kRows];
  float* sum[kRows];
  Keys keys[kRows];
  Keys any;                            // from the first to the last key that a row sees
  alignas(64) float correct[16];       // exp(top - top') of each row
  alignas(64) float p[kRows * kPage];  // scores, then probabilities
};

// Scores of V vectors of keys.
template <int R, int V, class E>
void score(RowBlock& b, const E* k, int head_dim, int64_t dim, int first) {
  const E* from = k + first * dim * 16;
  Vec acc[R][V];
  MIAO_UNROLL for (int r = 0; r < R; ++r) { MIAO_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = set1(0.0f); }
  for (int i = 0; i < head_dim; ++i) {
    Vec key[V];
    MIAO_UNROLL for (int v = 0; v < V; ++v) key[v] = load(from + (v * dim + i) * 16);
    MIAO_UNROLL for (int r = 0; r < R; ++r) {
      const Vec x = set1(b.q[r][i]);
      MIAO_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(x, key[v], acc[r][v]);
    }
  }
  MIAO_UNROLL for (int r = 0; r < R; ++r) {
    MIAO_UNROLL for (int v = 0; v < V; ++v) store(b.p + r * kPage + (first + v) * 16, acc[r][v]);
  }
}

// Scores of all vectors that hold a visible key, rounded outwards to what the register block takes at once.
template <int R, class E>
void score_block(RowBlock& b, const E* k, int head_dim, int64_t dim) {
  constexpr int kVecs = attention_vecs(R);
  constexpr int kHalf = kVecs > 2 ? 2 : kVecs;
  const int begin = b.any.begin / (16 * kHalf) * kHalf, end = (b.any.end + 15) / 16;
  int v = begin;
  for (; v + kVecs - kHalf < end && v + kVecs <= kPage / 16; v += kVecs) score<R, kVecs>(b, k, head_dim, dim, v);
  for (; v < end; v += kHalf) score<R, kHalf>(b, k, head_dim, dim, v);
}

inline int clamp16(int x) { return x < 0 ? 0 : x > 16 ? 16 : x; }

// Scores to probabilities. Stages run over all rows, because each is a chain of dependent steps within a row.
template <int R>
void soften(RowBlock& b, const AttentionArgs& a, float* top, float* weight) {
  alignas(64) float before[16] = {}, next[16] = {};
  for (int r = 0; r < R; ++r) {
    float* p = b.p + r * kPage;
    const Keys keys = b.keys[r];
    before[r] = top[r];
    if (keys.begin >= keys.end) continue;
    Vec s[kPage / 16];
    MIAO_UNROLL for (int v = 0; v < kPage / 16; ++v) s[v] = load(p + v * 16) * set1(a.scale);
    if (a.softcap > 0.0f) {
      for (int v = 0; v < kPage / 16; ++v) s[v] = set1(a.softcap) * tanh(s[v] / set1(a.softcap));
    }
    if (keys.begin > 0 || keys.end < kPage) {
      const Vec hidden = set1(-__builtin_inff());
      MIAO_UNROLL for (int v = 0; v < kPage / 16; ++v) {
        s[v] = keep_lanes(s[v], clamp16(keys.begin - v * 16), clamp16(keys.end - v * 16), hidden);
      }
    }
    MIAO_UNROLL for (int v = 0; v < kPage / 16; ++v) store(p + v * 16, s[v]);
    const float here = reduce_max(max(max(s[0], s[1]), max(s[2], s[3])));
    top[r] = next[r] = here > top[r] ? here : top[r];
  }
  store(b.correct, exp(load(before) - load(next)));
  for (int r = 0; r < R; ++r) {
    if (b.keys[r].begin >= b.keys[r].end) {
      b.correct[r] = 1.0f;
      continue;
    }
    float* p = b.p + r * kPage;
    Vec s[kPage / 16];
    MIAO_UNROLL for (int v = 0; v < kPage / 16; ++v) {
      s[v] = exp(load(p + v * 16) - set1(next[r]));
      store(p + v * 16, s[v]);
    }
    weight[r] = __builtin_fmaf(weight[r], b.correct[r], reduce_add((s[0] + s[1]) + (s[2] + s[3])));
  }
}

// sum[r][..] = sum * correct + p * V over the keys of `keys`, V vectors of dimensions from v on.
template <int R, int V, class E>
inline void gather(float* const* sum, const float* correct, const float* p, const E* v, int64_t dim, Keys keys) {
  Vec acc[R][V];
  MIAO_UNROLL for (int r = 0; r < R; ++r) {
    MIAO_UNROLL for (int c = 0; c < V; ++c) acc[r][c] = load(sum[r] + c * 16) * set1(correct[r]);
  }
  for (int key = keys.begin; key < keys.end; ++key) {
    Vec value[V];
    MIAO_UNROLL for (int c = 0; c < V; ++c) value[c] = load(v + key * dim + c * 16);
    MIAO_UNROLL for (int r = 0; r < R; ++r) {
      const Vec x = set1(p[r * kPage + key]);
      MIAO_UNROLL for (int c = 0; c < V; ++c) acc[r][c] = fma(x, value[c], acc[r][c]);
    }
  }
  MIAO_UNROLL for (int r = 0; r < R; ++r) { MIAO_UNROLL for (int c = 0; c < V; ++c) store(sum[r] + c * 16, acc[r][c]); }
}

template <int R, class E>
void gather_rows(float* const* sum, const float* correct, const float* p, const E* v, int64_t dim, Keys keys) {
  constexpr int kVecs = attention_vecs(R);
  float* at[R];
  int64_t c = 0;
  const auto step = [&] {
    for (int r = 0; r < R; ++r) at[r] = sum[r] + c;
    return v + c;
  };
  for (; c + kVecs * 16 <= dim; c += kVecs * 16) gather<R, kVecs>(at, correct, p, step(), dim, keys);
  if constexpr (kVecs > 2) {
    for (; c + 32 <= dim; c += 32) gather<R, 2>(at, correct, p, step(), dim, keys);
  }
  if constexpr (kVecs > 1) {
    for (; c < dim; c += 16) gather<R, 1>(at, correct, p, step(), dim, keys);
  }
}

// Rows of a block that see different keys: what they share is done together, the ends row by row.
template <int R, class E>
void gather_block(RowBlock& b, const E* v, int64_t dim) {
  Keys common{0, kPage};
  for (int r = 0; r < R; ++r) {
    if (b.keys[r].begin > common.begin) common.begin = b.keys[r].begin;
    if (b.keys[r].end < common.end) common.end = b.keys[r].end;
  }
  const auto alone = [&](int r, Keys keys) {
    if (keys.begin >= keys.end) return;
    gather_rows<1>(b.sum + r, b.correct + r, b.p + r * kPage, v, dim, keys);
    b.correct[r] = 1.0f;
  };
  if (common.begin >= common.end) {
    for (int r = 0; r < R; ++r) alone(r, b.keys[r]);
    return;
  }
  for (int r = 0; r < R; ++r) alone(r, {b.keys[r].begin, common.begin});
  gather_rows<R>(b.sum, b.correct, b.p, v, dim, common);
  for (int r = 0; r < R; ++r) {
    b.correct[r] = 1.0f;
    alone(r, {common.end, b.keys[r].end});
  }
}

template <int R, class E>
void run_block(const AttentionArgs& a, RowBlock& b, const E* k, const E* v, int64_t dim, float* top, float* weight) {
  score_block<R>(b, k, a.head_dim, dim);
  soften<R>(b, a, top, weight);
  gather_block<R>(b, v, dim);
}

// The keys that the query at `position` sees, in absolute positions.
struct Sight {
  int64_t begin, end;
};
inline Sight sight(const AttentionArgs& a, int64_t position) {
  const int64_t begin = a.window > 0 && position + 1 > a.window ? position + 1 - a.window : 0;
  return {begin, a.causal ? position + 1 : a.keys};
}

// The query rows of a tile of tokens and their running results.
struct RowTile {
  int64_t token;  // first of the tile, counted from the first query
  int rows;
  float *sum, *top, *weight;
};

// One page for all rows of a tile.
template <class E>
void run_page(const AttentionArgs& a, const RowTile& t, int64_t page, const E* k, const E* v, int64_t dim) {
  RowBlock b;
  __builtin_memset(b.p, 0, sizeof(b.p));  // vectors that no score is written to are read, then masked
  for (int r0 = 0; r0 < t.rows; r0 += kRows) {
    const int count = t.rows - r0 < kRows ? t.rows - r0 : kRows;
    b.any = {kPage, 0};
    for (int r = 0; r < count; ++r) {
      const int64_t token = t.token + (r0 + r) / a.group;
      const Sight s = sight(a, a.first + token);
      const int64_t begin = s.begin - page * kPage, end = s.end - page * kPage;
      const Keys keys = {begin < 0       ? 0
                         : begin > kPage ? kPage
                                         : static_cast<int>(begin),
                         end < 0       ? 0
                         : end > kPage ? kPage
                                       : static_cast<int>(end)};
      b.keys[r] = keys;
      if (keys.begin < keys.end) {
        if (keys.begin < b.any.begin) b.any.begin = keys.begin;
        if (keys.end > b.any.end) b.any.end = keys.end;
      }
      b.q[r] = a.q + token * a.ldq + (r0 + r) % a.group * a.head_dim;
      b.sum[r] = t.sum + (r0 + r) * dim;
    }
    if (b.any.begin >= b.any.end) continue;
    switch (count) {
      case 1:
        run_block<1>(a, b, k, v, dim, t.top + r0, t.weight + r0);
        break;
      case 2:
        run_block<2>(a, b, k, v, dim, t.top + r0, t.weight + r0);
        break;
      case 3:
        run_block<3>(a, b, k, v, dim, t.top + r0, t.weight + r0);
        break;
      case 4:
        run_block<4>(a, b, k, v, dim, t.top + r0, t.weight + r0);
        break;
      case 5:
        run_block<5>(a, b, k, v, dim, t.top + r0, t.weight + r0);
        break;
      default:
        run_block<6>(a, b, k, v, dim, t.top + r0, t.weight + r0);
        break;
    }
  }
}

template <class E>
inline const float* widen(const E* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += 16) store(to + i, load(from + i));
  return to;
}
inline const float* widen(const float* from, int64_t, float*) { return from; }

void finish(const AttentionArgs& a, const RowTile& t, int64_t dim) {
  for (int r = 0; r < t.rows; ++r) {
    const float* sum = t.sum + r * dim;
    float* out = a.out + (t.token + r / a.group) * a.ldo + r % a.group * a.head_dim;
    const Vec inverse = set1(t.weight[r] == 0.0f ? 0.0f : 1.0f / t.weight[r]);  // no key seen: zeros
    int i = 0;
    for (; i + 16 <= a.head_dim; i += 16) store(out + i, load(sum + i) * inverse);
    if (i < a.head_dim) store_n(out + i, load(sum + i) * inverse, a.head_dim - i);
  }
}

template <class E>
void attention(const AttentionArgs& a) {
  constexpr int kDirectRows = 2 * kRows;  // up to here 16-bit pages are widened in registers
  const AttentionLayout layout = attention_layout(a.head_dim, a.group);
  float* const scratch = static_cast<float*>(a.scratch);
  for (int64_t token = 0; token < a.queries; token += layout.tokens) {
    const int64_t tokens = a.queries - token < layout.tokens ? a.queries - token : layout.tokens;
    const RowTile t{token, static_cast<int>(tokens * a.group), scratch + layout.sum, scratch + layout.top,
                    scratch + layout.weight};
    for (int64_t i = 0; i < t.rows * layout.dim; ++i) t.sum[i] = 0.0f;
    for (int r = 0; r < t.rows; ++r) {
      t.top[r] = -__builtin_inff();
      t.weight[r] = 0.0f;
    }
    const int64_t begin = sight(a, a.first + token).begin / kPage;
    const int64_t end = (sight(a, a.first + token + tokens - 1).end + kPage - 1) / kPage;
    for (int64_t page = begin; page < end; ++page) {
      const E* k = static_cast<const E*>(a.k_pages[page]);
      const E* v = static_cast<const E*>(a.v_pages[page]);
      if (t.rows <= kDirectRows) {
        run_page(a, t, page, k, v, layout.dim);
      } else {
        const int64_t n = kPage * layout.dim;
        run_page(a, t, page, widen(k, n, scratch + layout.k), widen(v, n, scratch + layout.v), layout.dim);
      }
    }
    finish(a, t, layout.dim);
  }
}

}  // namespace

void fill_attention(Kernels& table) {
  table.attention[0] = attention<float>;
  table.attention[1] = attention<F16>;
  table.attention[2] = attention<BF16>;
}

}  // namespace miao::kernels::MIAO_ISA
