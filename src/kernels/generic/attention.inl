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

#include "kernels/generic/attention_layout.h"
#include "kernels/generic/math.inl"
#include "kernels/generic/parts.h"

namespace miao::kernels::MIAO_ISA {
namespace {

constexpr int kRows = 6;
constexpr int kDirectRows = 8;  // up to here (two blocks) 16-bit pages are widened in registers
constexpr int kPageVecs = kPage / 16;

// Keys begin <= key < end of one page.
struct Keys {
  int begin, end;
  bool empty() const { return begin >= end; }
};

struct Row {
  const float* q;
  Keys keys;  // seen in the current page
};
static_assert(sizeof(Row) == 16);

// The query rows of a tile and their running results, in scratch (see AttentionLayout).
struct RowTile {
  int64_t token;  // first of the tile, counted from the first query
  int tokens, rows;
  int64_t dim;
  Row* row;
  float *sum, *p, *top, *correct, *weight;
};

// K and V of one page.
template <class E>
struct Page {
  const E *k, *v;
};

// Brings the page that the thread reads next to the second cache, 128 bytes at a time, spread over the work on this
// one: from the halves of K and V in turn, which was measured to be a fifth faster than one after the other.
struct Ahead {
  const char* from[4];
  uint32_t unit = 0, units = 0;

  Ahead() = default;
  template <class E>
  Ahead(const E* k, const E* v, int64_t dim) {
    const int64_t half = kPage * dim / 2;
    from[0] = reinterpret_cast<const char*>(k);
    from[1] = reinterpret_cast<const char*>(v);
    from[2] = reinterpret_cast<const char*>(k + half);
    from[3] = reinterpret_cast<const char*>(v + half);
    units = static_cast<uint32_t>(4 * half * static_cast<int64_t>(sizeof(E)) / 128);
  }
  void step() {
    if (unit == units) return;
    const char* const p = from[unit % 4] + unit / 4 * 128;
    __builtin_prefetch(p, 0, 2);
    __builtin_prefetch(p + 64, 0, 2);
    ++unit;
  }
  void rest() {
    while (unit < units) step();
  }
};

// Scores of R rows and V vectors of keys from vector `first` of the page on.
template <int R, int V, class E>
MIAO_NOINLINE void score(const Row* row, const Page<E>& page, int head_dim, int64_t dim, int first, Ahead& ahead,
                         float* p) {
  const E* from = page.k + first * dim * 16;
  Vec acc[R][V];
  MIAO_UNROLL for (int r = 0; r < R; ++r) { MIAO_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = set1(0.0f); }
  for (int i = 0; i < head_dim; ++i) {
    ahead.step();
    Vec key[V];
    MIAO_UNROLL for (int v = 0; v < V; ++v) key[v] = load(from + (v * dim + i) * 16);
    MIAO_UNROLL for (int r = 0; r < R; ++r) {
      const Vec x = set1(row[r].q[i]);
      MIAO_UNROLL for (int v = 0; v < V; ++v) acc[r][v] = fma(x, key[v], acc[r][v]);
    }
  }
  MIAO_UNROLL for (int r = 0; r < R; ++r) {
    MIAO_UNROLL for (int v = 0; v < V; ++v) store(p + r * kPage + (first + v) * 16, acc[r][v]);
  }
}

// Scores of all vectors that hold a visible key, rounded outwards to what the register block takes at once.
template <int R, class E>
void score_block(const RowTile& t, int r0, const Page<E>& page, int head_dim, Ahead& ahead) {
  constexpr int kVecs = attention_vecs(R);
  constexpr int kHalf = kVecs > 2 ? 2 : kVecs;
  const Row* row = t.row + r0;
  Keys any{kPage, 0};
  for (int r = 0; r < R; ++r) {
    if (row[r].keys.empty()) continue;
    if (row[r].keys.begin < any.begin) any.begin = row[r].keys.begin;
    if (row[r].keys.end > any.end) any.end = row[r].keys.end;
  }
  const int end = (any.end + 15) / 16;
  float* p = t.p + r0 * kPage;
  int v = any.begin / (16 * kHalf) * kHalf;
  for (; v + kVecs - kHalf < end && v + kVecs <= kPageVecs; v += kVecs)
    score<R, kVecs>(row, page, head_dim, t.dim, v, ahead, p);
  for (; v < end; v += kHalf) score<R, kHalf>(row, page, head_dim, t.dim, v, ahead, p);
}

inline int clamp16(int x) { return x < 0 ? 0 : x > 16 ? 16 : x; }

// The sum of the first V of four vectors, the others being zeros: (0 + 1) + (2 + 3).
template <int V>
inline Vec sum_of(const Vec (&s)[V]) {
  if constexpr (V == 1) return s[0];
  if constexpr (V == 2) return s[0] + s[1];
  if constexpr (V == 3) return (s[0] + s[1]) + s[2];
  if constexpr (V == 4) return (s[0] + s[1]) + (s[2] + s[3]);
}

// The scores of row r, whose keys end within the first V vectors of the page: scaled, capped, biased, hidden where they
// are not seen. Sets the row's top.
template <int V>
void finish_scores(const RowTile& t, const AttentionArgs& a, int64_t index, int r) {
  const Keys keys = t.row[r].keys;
  float* const p = t.p + r * kPage;
  Vec s[V];
  MIAO_UNROLL for (int v = 0; v < V; ++v) s[v] = load(p + v * 16) * set1(a.scale);
  if (a.softcap > 0.0f) {
    for (int v = 0; v < V; ++v) s[v] = set1(a.softcap) * tanh(s[v] / set1(a.softcap));
  }
  if (a.bias) {
    const int64_t distance = index * kPage - (a.first + t.token + r / a.group);  // of the page's first key
    const float* const bias = a.bias + r % a.group * a.ld_bias + distance;
    MIAO_UNROLL for (int v = 0; v < V; ++v) s[v] = s[v] + load(bias + v * 16);
  }
  if (keys.begin > 0 || keys.end < V * 16) {
    const Vec hidden = set1(-__builtin_inff());
    MIAO_UNROLL for (int v = 0; v < V; ++v) {
      s[v] = keep_lanes(s[v], clamp16(keys.begin - v * 16), clamp16(keys.end - v * 16), hidden);
    }
  }
  Vec top = s[0];
  MIAO_UNROLL for (int v = 0; v < V; ++v) {
    store(p + v * 16, s[v]);
    top = max(top, s[v]);
  }
  const float here = reduce_max(top);
  const float next = here > t.top[r] ? here : t.top[r];
  t.correct[r] = t.top[r] - next;
  t.top[r] = next;
}

// Scores of row r to probabilities, and its weight.
template <int V>
void take_exp(const RowTile& t, int r) {
  float* const p = t.p + r * kPage;
  const Vec top = set1(t.top[r]);
  Vec s[V];
  MIAO_UNROLL for (int v = 0; v < V; ++v) {
    s[v] = exp(load(p + v * 16) - top);
    store(p + v * 16, s[v]);
  }
  t.weight[r] = __builtin_fmaf(t.weight[r], t.correct[r], reduce_add(sum_of(s)));
}

template <int N>
struct Count {
  static constexpr int value = N;
};
// f(Count<vectors of a page up to its key `end`>).
template <class F>
inline void with_vectors(int end, F f) {
  static_assert(kPageVecs == 4);
  switch ((end + 15) / 16) {
    case 1:
      return f(Count<1>());
    case 2:
      return f(Count<2>());
    case 3:
      return f(Count<3>());
    default:
      return f(Count<4>());
  }
}

// Scores to probabilities. Each step runs over all rows, because within a row it is one chain of dependent operations.
// Vectors behind a row's last key are left out: their probabilities would be zeros.
void soften(const RowTile& t, const AttentionArgs& a, int64_t index) {
  for (int r = 0; r < t.rows; ++r) {
    const Keys keys = t.row[r].keys;
    t.correct[r] = 0.0f;
    if (!keys.empty()) with_vectors(keys.end, [&](auto vecs) { finish_scores<vecs.value>(t, a, index, r); });
  }
  for (int r = 0; r < t.rows; r += 16) store(t.correct + r, exp(load(t.correct + r)));
  for (int r = 0; r < t.rows; ++r) {
    const Keys keys = t.row[r].keys;
    if (!keys.empty()) with_vectors(keys.end, [&](auto vecs) { take_exp<vecs.value>(t, r); });
  }
}

// sum[r][..] = sum * correct + p * V over `keys`, for V vectors of dimensions from v on.
template <int R, int V, class E>
MIAO_NOINLINE void gather(float* sum, const float* correct, const float* p, const E* v, int64_t dim, Keys keys,
                          Ahead& ahead) {
  Vec acc[R][V];
  MIAO_UNROLL for (int r = 0; r < R; ++r) {
    MIAO_UNROLL for (int c = 0; c < V; ++c) acc[r][c] = load(sum + r * dim + c * 16) * set1(correct[r]);
  }
  for (int key = keys.begin; key < keys.end; ++key) {
    ahead.step();
    Vec value[V];
    MIAO_UNROLL for (int c = 0; c < V; ++c) value[c] = load(v + key * dim + c * 16);
    MIAO_UNROLL for (int r = 0; r < R; ++r) {
      const Vec x = set1(p[r * kPage + key]);
      MIAO_UNROLL for (int c = 0; c < V; ++c) acc[r][c] = fma(x, value[c], acc[r][c]);
    }
  }
  MIAO_UNROLL for (int r = 0; r < R; ++r) {
    MIAO_UNROLL for (int c = 0; c < V; ++c) store(sum + r * dim + c * 16, acc[r][c]);
  }
}

template <int R, class E>
void gather_rows(const RowTile& t, int r0, const Page<E>& page, Keys keys, Ahead& ahead) {
  constexpr int kVecs = attention_vecs(R);
  float* sum = t.sum + r0 * t.dim;
  const float* p = t.p + r0 * kPage;
  int64_t c = 0;
  for (; c + kVecs * 16 <= t.dim; c += kVecs * 16)
    gather<R, kVecs>(sum + c, t.correct + r0, p, page.v + c, t.dim, keys, ahead);
  if constexpr (kVecs > 2) {
    for (; c + 32 <= t.dim; c += 32) gather<R, 2>(sum + c, t.correct + r0, p, page.v + c, t.dim, keys, ahead);
  }
  if constexpr (kVecs > 1) {
    for (; c < t.dim; c += 16) gather<R, 1>(sum + c, t.correct + r0, p, page.v + c, t.dim, keys, ahead);
  }
}

// Rows of a block that see different keys: what they share is done together, the ends row by row.
template <int R, class E>
void gather_block(const RowTile& t, int r0, const Page<E>& page, Ahead& ahead) {
  const Row* row = t.row + r0;
  Keys common{0, kPage};
  for (int r = 0; r < R; ++r) {
    if (row[r].keys.begin > common.begin) common.begin = row[r].keys.begin;
    if (row[r].keys.end < common.end) common.end = row[r].keys.end;
  }
  const auto alone = [&](int r, Keys keys) {
    if (keys.empty()) return;
    gather_rows<1>(t, r0 + r, page, keys, ahead);
    t.correct[r0 + r] = 1.0f;
  };
  if (common.empty()) {
    for (int r = 0; r < R; ++r) alone(r, row[r].keys);
    return;
  }
  for (int r = 0; r < R; ++r) alone(r, {row[r].keys.begin, common.begin});
  gather_rows<R>(t, r0, page, common, ahead);
  for (int r = 0; r < R; ++r) {
    t.correct[r0 + r] = 1.0f;
    alone(r, {common.end, row[r].keys.end});
  }
}

// f(first row, Count<rows>) for each block of a tile: 1, 2, 3, 4 or 6 rows, at most kMost (4 or 6). Five would be one
// more copy of every loop.
template <int kMost, class F>
inline void each_block(int rows, F f) {
  constexpr signed char kTake[] = {0, 1, 2, 3, 4, 3, kMost < kRows ? 3 : kRows, 4, 4};
  for (int r = 0; r < rows;) {
    const int take = rows - r > 8 ? kRows : kTake[rows - r];
    switch (take) {
      case 1:
        f(r, Count<1>());
        break;
      case 2:
        f(r, Count<2>());
        break;
      case 3:
        f(r, Count<3>());
        break;
      case 4:
        f(r, Count<4>());
        break;
      default:
        if constexpr (kMost >= kRows) f(r, Count<kRows>());
    }
    r += take;
  }
}

// The keys that the query at `position` sees, in absolute positions.
struct Sight {
  int64_t begin, end;
};
inline Sight sight(const AttentionArgs& a, int64_t position) {
  const int64_t begin = a.window > 0 && position + 1 > a.window ? position + 1 - a.window : 0;
  if (a.causal) return {begin, position + 1};
  return {begin, a.window > 0 && position + a.window < a.keys ? position + a.window : a.keys};
}

inline int clamp_page(int64_t x) { return x < 0 ? 0 : x > kPage ? kPage : static_cast<int>(x); }

template <class E>
void run_page(const AttentionArgs& a, const RowTile& t, int64_t index, const Page<E>& page, Ahead ahead) {
  for (int i = 0; i < t.tokens; ++i) {
    const Sight s = sight(a, a.first + t.token + i);
    Keys keys{clamp_page(s.begin - index * kPage), clamp_page(s.end - index * kPage)};
    if (keys.empty()) keys = {0, 0};
    for (int h = 0; h < a.group; ++h) t.row[i * a.group + h].keys = keys;
  }
  constexpr int kMost = sizeof(E) == sizeof(float) ? kRows : kDirectRows / 2;
  each_block<kMost>(t.rows, [&](int r0, auto count) { score_block<count.value>(t, r0, page, a.head_dim, ahead); });
  soften(t, a, index);
  each_block<kMost>(t.rows, [&](int r0, auto count) { gather_block<count.value>(t, r0, page, ahead); });
  ahead.rest();
}

template <class E>
inline const float* widen(const E* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += 16) store(to + i, load(from + i));
  return to;
}
inline const float* widen(const float* from, int64_t, float*) { return from; }

void start(const AttentionArgs& a, const RowTile& t) {
  for (int i = 0; i < t.tokens; ++i) {
    for (int h = 0; h < a.group; ++h) t.row[i * a.group + h].q = a.q + (t.token + i) * a.ldq + h * a.head_dim;
  }
  __builtin_memset(t.sum, 0, static_cast<size_t>(t.rows * t.dim) * sizeof(float));
  __builtin_memset(t.p, 0,
                   static_cast<size_t>(t.rows * kPage) * sizeof(float));  // hidden vectors are read, then masked
  __builtin_memset(t.weight, 0, static_cast<size_t>(t.rows) * sizeof(float));
  for (int r = 0; r < t.rows; ++r) t.top[r] = -__builtin_inff();
  // Lanes beyond the rows are computed and not used.
  for (int r = t.rows; r % 16 != 0; ++r) t.correct[r] = 0.0f;
}

void finish(const AttentionArgs& a, const RowTile& t) {
  for (int r = 0; r < t.rows; ++r) {
    const float* sum = t.sum + r * t.dim;
    float* out = a.out + (t.token + r / a.group) * a.ldo + r % a.group * a.head_dim;
    const Vec inverse = set1(t.weight[r] == 0.0f ? 0.0f : 1.0f / t.weight[r]);  // no key seen: zeros
    int i = 0;
    for (; i + 16 <= a.head_dim; i += 16) store(out + i, load(sum + i) * inverse);
    if (i < a.head_dim) store_n(out + i, load(sum + i) * inverse, a.head_dim - i);
  }
}

template <class E>
void attention(const AttentionArgs& a) {
  const AttentionLayout layout = attention_layout(a.head_dim, a.group);
  float* const scratch = static_cast<float*>(a.scratch);
  const int64_t tiles = (a.queries + layout.tokens - 1) / layout.tokens;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    RowTile t;
    t.token = a.queries * tile / tiles;
    t.tokens = static_cast<int>(a.queries * (tile + 1) / tiles - t.token);
    t.rows = t.tokens * a.group;
    t.dim = layout.dim;
    t.row = reinterpret_cast<Row*>(scratch + layout.row);
    t.sum = scratch + layout.sum;
    t.p = scratch + layout.p;
    t.top = scratch + layout.top;
    t.correct = scratch + layout.correct;
    t.weight = scratch + layout.weight;
    start(a, t);
    const int64_t begin = sight(a, a.first + t.token).begin / kPage;
    const int64_t end = (sight(a, a.first + t.token + t.tokens - 1).end + kPage - 1) / kPage;
    for (int64_t i = begin; i < end; ++i) {
      const auto page_of = [](const void* const* pages, int64_t index) { return static_cast<const E*>(pages[index]); };
      const Page<E> page{page_of(a.k_pages, i), page_of(a.v_pages, i)};
      if (t.rows > kDirectRows) {
        const int64_t n = kPage * layout.dim;
        run_page(a, t, i, Page<float>{widen(page.k, n, scratch + layout.k), widen(page.v, n, scratch + layout.v)}, {});
        continue;
      }
      Ahead ahead;
      if (i + 1 < end) {
        ahead = {page_of(a.k_pages, i + 1), page_of(a.v_pages, i + 1), layout.dim};
      } else if (a.k_after) {
        ahead = {static_cast<const E*>(a.k_after), static_cast<const E*>(a.v_after), layout.dim};
      }
      run_page(a, t, i, page, ahead);
    }
    finish(a, t);
  }
}

}  // namespace

void fill_attention(Kernels& table) {
  table.attention[0] = attention<float>;
  table.attention[1] = attention<F16>;
  table.attention[2] = attention<BF16>;
}

}  // namespace miao::kernels::MIAO_ISA
