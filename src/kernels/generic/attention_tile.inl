// What attention does whatever the pages hold: tiles of query rows walk over pages, scores become probabilities, values
// are gathered. attention.inl says in which order, and why outputs depend on nothing else.
//
// A page type P tells how to read a page:
//   P::kMost                        query rows of a block, 4 or 6: what fits into registers beside widening
//   P::kGrouped                     each 32 dimensions have weights of their own, else one weight a key
//   score<R, V>(t, r0, first, ahead)    scores of R rows and V vectors of keys from vector `first` on, to t.p
//   prepare<R>(t, r0)               before the gathering of R rows; sets what weights() gives
//   weights(t, r)                   of row r: (groups or 1, 64)
//   weights_ld()                    floats between two rows of those
//   values<V>(key, c, out)          V vectors of dimensions of a key, from vector c on

#include "kernels/generic/attention_layout.h"
#include "kernels/generic/math.inl"
#include "kernels/generic/parts.h"

namespace miao::kernels::MIAO_ISA {
namespace {

constexpr int kRows = AttentionLayout::kBlockRows;
constexpr int kDirectRows = 8;  // up to here (two blocks) pages are widened in registers
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

// Brings the page that the thread reads next to the second cache, 128 bytes at a time, spread over the work on this
// one: from the halves of K and V in turn, which was measured to be a fifth faster than one after the other.
struct Ahead {
  const char* from[4];
  uint32_t unit = 0, units = 0;

  Ahead() = default;
  Ahead(const void* k, const void* v, int64_t bytes) {
    const int64_t half = bytes / 2;
    from[0] = static_cast<const char*>(k);
    from[1] = static_cast<const char*>(v);
    from[2] = from[0] + half;
    from[3] = from[1] + half;
    units = static_cast<uint32_t>(4 * half / 128);
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

// Scores of all vectors that hold a visible key, rounded outwards to what the register block takes at once.
template <int R, class P>
void score_block(const RowTile& t, int r0, const P& page, Ahead& ahead) {
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
  int v = any.begin / (16 * kHalf) * kHalf;
  for (; v + kVecs - kHalf < end && v + kVecs <= kPageVecs; v += kVecs) page.template score<R, kVecs>(t, r0, v, ahead);
  for (; v < end; v += kHalf) page.template score<R, kHalf>(t, r0, v, ahead);
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

// sum[r][..] = sum * correct + p * V over `keys`, for V vectors of dimensions from vector c on.
template <int R, int V, class P>
MIAO_NOINLINE void gather(const RowTile& t, int r0, const P page, int64_t c, Keys keys, Ahead& ahead) {
  float* const sum = t.sum + r0 * t.dim + c * 16;
  const float* const correct = t.correct + r0;
  const float* const p = page.weights(t, r0) + (P::kGrouped ? c / 2 * kPage : 0);
  const int64_t dim = t.dim, ld = page.weights_ld();
  Vec acc[R][V];
  MIAO_UNROLL for (int r = 0; r < R; ++r) {
    MIAO_UNROLL for (int i = 0; i < V; ++i) acc[r][i] = load(sum + r * dim + i * 16) * set1(correct[r]);
  }
  for (int key = keys.begin; key < keys.end; ++key) {
    ahead.step();
    Vec value[V];
    page.template values<V>(key, c, value);
    MIAO_UNROLL for (int r = 0; r < R; ++r) {
      MIAO_UNROLL for (int i = 0; i < V; ++i) {
        const Vec x = set1(p[r * ld + (P::kGrouped ? i / 2 * kPage : 0) + key]);
        acc[r][i] = fma(x, value[i], acc[r][i]);
      }
    }
  }
  MIAO_UNROLL for (int r = 0; r < R; ++r) {
    MIAO_UNROLL for (int i = 0; i < V; ++i) store(sum + r * dim + i * 16, acc[r][i]);
  }
}

template <int R, class P>
void gather_rows(const RowTile& t, int r0, const P& page, Keys keys, Ahead& ahead) {
  constexpr int kVecs = attention_vecs(R);
  const int64_t vecs = t.dim / 16;
  int64_t c = 0;
  for (; c + kVecs <= vecs; c += kVecs) gather<R, kVecs>(t, r0, page, c, keys, ahead);
  if constexpr (kVecs > 2) {
    for (; c + 2 <= vecs; c += 2) gather<R, 2>(t, r0, page, c, keys, ahead);
  }
  if constexpr (kVecs > 1 && !P::kGrouped) {
    for (; c < vecs; ++c) gather<R, 1>(t, r0, page, c, keys, ahead);
  }
}

// Rows of a block that see different keys: what they share is done together, the ends row by row.
template <int R, class P>
void gather_block(const RowTile& t, int r0, P page, Ahead& ahead) {
  page.template prepare<R>(t, r0);
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

template <class P>
void run_page(const AttentionArgs& a, const RowTile& t, int64_t index, const P& page, Ahead ahead) {
  for (int i = 0; i < t.tokens; ++i) {
    const Sight s = sight(a, a.first + t.token + i);
    Keys keys{clamp_page(s.begin - index * kPage), clamp_page(s.end - index * kPage)};
    if (keys.empty()) keys = {0, 0};
    for (int h = 0; h < a.group; ++h) t.row[i * a.group + h].keys = keys;
  }
  each_block<P::kMost>(t.rows, [&](int r0, auto count) { score_block<count.value>(t, r0, page, ahead); });
  soften(t, a, index);
  each_block<P::kMost>(t.rows, [&](int r0, auto count) { gather_block<count.value>(t, r0, page, ahead); });
  ahead.rest();
}

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

// f(tile, page index, what to prefetch) for each page that a tile of query rows sees; begin(tile) before, end(tile)
// behind.
template <class B, class F, class D>
inline void each_page(const AttentionArgs& a, const AttentionLayout& layout, int64_t bytes, B begin, F f, D end) {
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
    begin(t);
    const int64_t first = sight(a, a.first + t.token).begin / kPage;
    const int64_t last = (sight(a, a.first + t.token + t.tokens - 1).end + kPage - 1) / kPage;
    for (int64_t i = first; i < last; ++i) {
      Ahead ahead;
      if (i + 1 < last) {
        ahead = {a.k_pages[i + 1], a.v_pages[i + 1], bytes};
      } else if (a.k_after) {
        ahead = {a.k_after, a.v_after, bytes};
      }
      f(t, i, ahead);
    }
    end(t);
  }
}

}  // namespace
}  // namespace miao::kernels::MIAO_ISA
