// Attention to pages of codes (kv_codes.h). Queries are rotated and rounded to int8 in groups too, so that a group's
// part of a score is a sum of integers, exact in any order:
//   score[key] = sum over groups, in order, of float(sum of q * k) * (scale of k * scale of q)
// Codes of values are small whole numbers, and the scale goes to the probability:
//   sum[d]     = sum[d] * exp(top - top') + (p[key] * scale of v) * code of v, visible keys in order
// The rest is as in attention.inl. At the end the sums are rotated back.

#include "kernels/generic/attention_tile.inl"
#include "kernels/generic/kv_codes.inl"

namespace miao::kernels::MIAO_ISA {
namespace {

// The queries of a tile as codes, and room for a block's probabilities times scales.
struct Queries {
  int8_t* codes;      // (rows, groups, 32)
  float* scale;       // (rows, groups)
  int32_t* code_sum;  // (rows, groups)
  float* scaled;      // (rows of a block, groups, 64)
};

// K and V of one page. E: what values are read as; float = codes that were widened before, (64, dim).
template <int kBits, class E>
struct CodePage {
  static constexpr int kMost = sizeof(E) == sizeof(float) ? kRows : kDirectRows / 2;
  static constexpr bool kGrouped = true;
  const uint8_t *k, *v;
  const float* wide;
  KvCodes<kBits> layout;
  const Queries& q;
  int first_row = 0;  // of those that `scaled` holds

  template <int R, int V>
  MIAO_NOINLINE void score(const RowTile& t, int r0, int first, Ahead& ahead) const {
    constexpr Code<kBits> kCode{};
    constexpr int kQuads = 8 / kBits;  // of one load
    const int64_t groups = layout.groups, block = layout.block;
    for (int64_t g = 0; g < groups; ++g) {
      const uint8_t* const from = k + first * block + g * layout.kLanesBytes;
      const int8_t* const query = q.codes + (r0 * groups + g) * kGroup;
      Ints acc[R][V];
      MIAO_UNROLL for (int r = 0; r < R; ++r) {
        const Ints start = dot_start(kCode, q.code_sum[(r0 + r) * groups + g]);
        MIAO_UNROLL for (int i = 0; i < V; ++i) acc[r][i] = start;
      }
      for (int j = 0; j < kGroup / 4 / kQuads; ++j) {
        ahead.step();
        Ints key[V];
        MIAO_UNROLL for (int i = 0; i < V; ++i) key[i] = load_words(from + i * block + j * 64);
        MIAO_UNROLL for (int part = 0; part < kQuads; ++part) {
          MIAO_UNROLL for (int r = 0; r < R; ++r) {
            const Ints x = set_word(query + r * groups * kGroup + (j * kQuads + part) * 4);
            MIAO_UNROLL for (int i = 0; i < V; ++i) acc[r][i] = dot(kCode, acc[r][i], codes_of(kCode, key[i], part), x);
          }
        }
      }
      MIAO_UNROLL for (int i = 0; i < V; ++i) {
        const Vec scale = scales(k, first + i, g);
        MIAO_UNROLL for (int r = 0; r < R; ++r) {
          float* const p = t.p + (r0 + r) * kPage + (first + i) * 16;
          const Vec both = scale * set1(q.scale[(r0 + r) * groups + g]);
          store(p, fma(to_float(acc[r][i]), both, g == 0 ? set1(0.0f) : load(p)));
        }
      }
    }
  }

  template <int R>
  void prepare(const RowTile& t, int r0) {
    first_row = r0;
    for (int64_t g = 0; g < layout.groups; ++g) {
      for (int i = 0; i < kPageVecs; ++i) {
        const Vec scale = scales(v, i, g);
        MIAO_UNROLL for (int r = 0; r < R; ++r) {
          store(q.scaled + (r * layout.groups + g) * kPage + i * 16, load(t.p + (r0 + r) * kPage + i * 16) * scale);
        }
      }
    }
  }
  const float* weights(const RowTile&, int r) const { return q.scaled + (r - first_row) * weights_ld(); }
  int64_t weights_ld() const { return layout.groups * kPage; }

  template <int V>
  void values(int key, int64_t c, Vec (&out)[V]) const {
    if constexpr (sizeof(E) == sizeof(float)) {
      MIAO_UNROLL for (int i = 0; i < V; ++i) out[i] = load(wide + (key * layout.groups * 2 + c + i) * 16);
    } else {
      const uint8_t* const row = v + key / 16 * layout.block + key % 16 * layout.groups * layout.kGroupBytes;
      MIAO_UNROLL for (int i = 0; i < V; ++i) out[i] = load_codes(Code<kBits>(), row, c + i);
    }
  }

  Vec scales(const uint8_t* page, int64_t block, int64_t group) const {
    return load(reinterpret_cast<const BF16*>(page + block * layout.block + layout.scales()) + group * 16);
  }
  void widen_values(float* to) const {
    for (int key = 0; key < kPage; ++key) {
      const uint8_t* const row = v + key / 16 * layout.block + key % 16 * layout.groups * layout.kGroupBytes;
      for (int64_t c = 0; c < 2 * layout.groups; ++c, to += 16) store(to, load_codes(Code<kBits>(), row, c));
    }
  }
};

void start_queries(const AttentionArgs& a, const RowTile& t, int64_t groups, const Queries& q) {
  for (int r = 0; r < t.rows; ++r) {
    each_piece(t.row[r].q, a.head_dim, [&](const float* x, int first, int n) {
      for (int i = 0; i < n; i += kGroup) {
        const int64_t at = r * groups + (first + i) / kGroup;
        const Vec low = load(x + i), high = load(x + i + 16);
        const Grid grid = grid_of_query(low, high);
        q.scale[at] = grid.scale;
        q.code_sum[at] = round_group<8>(low, high, grid, q.codes + at * kGroup);
      }
    });
  }
}

// Sums over rotated values to what they would be over the values.
void rotate_back(const AttentionArgs& a, const RowTile& t) {
  const int block = kv_rotation(a.head_dim);
  for (int r = 0; r < t.rows; ++r) {
    for (int64_t i = 0; i < t.dim; i += kPiece) {
      rotate(t.sum + r * t.dim + i, static_cast<int>(t.dim - i < kPiece ? t.dim - i : kPiece), block);
    }
  }
}

template <int kBits>
void attention(const AttentionArgs& a) {
  using Codes = KvCodes<kBits>;
  const AttentionLayout layout = attention_layout(Codes::kType, a.head_dim, a.group);
  const Codes codes(a.head_dim);
  float* const scratch = static_cast<float*>(a.scratch);
  const Queries q{reinterpret_cast<int8_t*>(scratch + layout.codes), scratch + layout.scale,
                  reinterpret_cast<int32_t*>(scratch + layout.code_sum), scratch + layout.scaled};
  each_page(
      a, layout, page_bytes(Codes::kType, a.head_dim), [&](const RowTile& t) { start_queries(a, t, layout.groups, q); },
      [&](const RowTile& t, int64_t i, const Ahead& ahead) {
        const auto *const k = static_cast<const uint8_t*>(a.k_pages[i]), *const v =
                                                                             static_cast<const uint8_t*>(a.v_pages[i]);
        if (t.rows <= kDirectRows) return run_page(a, t, i, CodePage<kBits, int8_t>{k, v, nullptr, codes, q}, ahead);
        const CodePage<kBits, float> page{k, v, scratch + layout.v, codes, q};
        page.widen_values(scratch + layout.v);
        run_page(a, t, i, page, {});
      },
      [&](const RowTile& t) {
        rotate_back(a, t);
        finish(a, t);
      });
}

template <int kBits>
void fill(Kernels& table) {
  table.kv[static_cast<size_t>(KvCodes<kBits>::kType)] = {store_k<kBits>, store_v<kBits>, attention<kBits>};
}

}  // namespace

void fill_attention_codes(Kernels& table) {
  fill<8>(table);
  fill<4>(table);
}

}  // namespace miao::kernels::MIAO_ISA
