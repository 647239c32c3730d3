// Rows of heads to codes: the rotation, the grids of groups, and where codes stand in a page (kv_codes.h).

#include "kernels/generic/kv_codes.h"

namespace miao::kernels::MIAO_ISA {
namespace {

constexpr int kPiece = 128;  // values that are rotated and rounded together: whole blocks and whole groups

// Lane i of every 2h: a[i] + a[i + h] where i < h, a[i - h] - a[i] elsewhere.
template <int H>
inline Vec butterfly(Vec a) {
  alignas(64) constexpr float kSigns[4][16] = {{1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1},
                                               {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1},
                                               {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1},
                                               {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1}};
  return fma(a, load(kSigns[H == 1 ? 0 : H == 2 ? 1 : H == 4 ? 2 : 3]), swap_lanes<H>(a));
}

// Blocks of `block` values times the orthonormal Hadamard matrix of that order, its own inverse; n is a multiple of 16
// and holds zeros behind the last block.
inline void rotate(float* x, int n, int block) {
  if (block == 1) return;
  const Vec factor = set1(1.0f / __builtin_sqrtf(static_cast<float>(block)));
  for (int i = 0; i < n; i += 16) {
    Vec v = load(x + i) * factor;
    v = butterfly<1>(v);
    if (block >= 4) v = butterfly<2>(v);
    if (block >= 8) v = butterfly<4>(v);
    if (block >= 16) v = butterfly<8>(v);
    store(x + i, v);
  }
  for (int h = 16; h < block; h *= 2) {
    for (int i = 0; i < n; i += 2 * h) {
      for (int j = i; j < i + h; j += 16) {
        const Vec a = load(x + j), b = load(x + j + h);
        store(x + j, a + b);
        store(x + j + h, a - b);
      }
    }
  }
}

// f(x, first, n) for each piece of a rotated head: n values from dimension `first` on, a multiple of kGroup.
template <class F>
inline void each_piece(const float* from, int head_dim, F f) {
  const int block = kv_rotation(head_dim);
  for (int first = 0; first < head_dim; first += kPiece) {
    alignas(64) float x[kPiece];
    const int left = head_dim - first < kPiece ? head_dim - first : kPiece, n = (left + kGroup - 1) / kGroup * kGroup;
    for (int i = 0; i < n; i += 16) {
      const int count = left - i;
      store(x + i, count >= 16 ? load(from + first + i) : count > 0 ? load_n(from + first + i, count) : set1(0.0f));
    }
    rotate(x, n, block);
    f(x, first, n);
  }
}

// value ~ scale * code; a group with an infinity or a NaN comes out as NaN.
struct Grid {
  float scale, inverse;
};
constexpr float kTiny = 0x1p-100f;  // groups of less are zeros: reciprocals stay far from overflow
inline Grid no_grid(float top) { return {top < kTiny ? 0.0f : __builtin_nanf(""), 0.0f}; }

// Codes from -127 to 127.
inline Grid grid_of_query(Vec a, Vec b) {
  const float top = max_abs(a, b);
  if (!(top >= kTiny && top < __builtin_inff())) return no_grid(top);
  return {top / 127.0f, 127.0f / top};
}
// The same, or from -8 to 7 with the largest magnitude at -8; the scale is a BF16 number.
template <int kBits>
inline Grid grid_of(Vec a, Vec b) {
  const float top = max_abs(a, b);
  if (!(top >= kTiny && top < __builtin_inff())) return no_grid(top);
  float at = top / 127.0f;
  if constexpr (kBits == 4) at = reduce_max(max(a, b)) == top ? top / -8.0f : top / 8.0f;
  const float scale = bf16_to_f32(f32_to_bf16(at));
  return {scale, 1.0f / scale};
}

// 32 codes of a group; returns their sum.
template <int kBits>
inline int32_t round_group(Vec a, Vec b, const Grid& grid, int8_t* codes) {
  constexpr float kLow = kBits == 8 ? -127.0f : -8.0f, kHigh = kBits == 8 ? 127.0f : 7.0f;
  if (grid.inverse == 0.0f) {
    __builtin_memset(codes, 0, kGroup);
    return 0;
  }
  const Vec inverse = set1(grid.inverse);
  const auto put = [&](int8_t* to, Vec x) { return store_codes(to, min(set1(kHigh), max(set1(kLow), x * inverse))); };
  const int32_t low = put(codes, a);
  return low + put(codes + 16, b);
}

// put(block of the page, lane, group, codes) for each group of a stored row.
template <int kBits, class F>
inline void store_row(void* page, int slot, const float* row, int head_dim, F put) {
  const KvCodes<kBits> layout(head_dim);
  auto* const block = static_cast<uint8_t*>(page) + slot / 16 * layout.block;
  const int lane = slot % 16;
  each_piece(row, head_dim, [&](const float* x, int first, int n) {
    for (int i = 0; i < n; i += kGroup) {
      alignas(64) int8_t codes[kGroup];
      const int64_t group = (first + i) / kGroup;
      const Vec a = load(x + i), b = load(x + i + 16);
      const Grid grid = grid_of<kBits>(a, b);
      round_group<kBits>(a, b, grid, codes);
      const uint16_t scale = f32_to_bf16(grid.scale);
      __builtin_memcpy(block + layout.scales() + (group * kLanes + lane) * 2, &scale, 2);
      put(block, layout, lane, group, codes);
    }
  });
}

inline uint8_t two_codes(int8_t low, int8_t high) { return static_cast<uint8_t>((low + 8) | (high + 8) << 4); }

template <int kBits>
void store_k(void* page, int slot, const float* k, int head_dim) {
  store_row<kBits>(page, slot, k, head_dim, [](uint8_t* block, const auto& l, int lane, int64_t group, int8_t* codes) {
    uint8_t* const to = block + group * l.kLanesBytes + lane * 4;
    for (int i = 0; i < kGroup; ++i) {
      if constexpr (kBits == 8) {
        to[i / 4 * 64 + i % 4] = static_cast<uint8_t>(codes[i] + 128);
      } else if (i / 4 % 2 == 0) {
        to[i / 8 * 64 + i % 4] = two_codes(codes[i], codes[i + 4]);
      }
    }
  });
}
template <int kBits>
void store_v(void* page, int slot, const float* v, int head_dim) {
  store_row<kBits>(page, slot, v, head_dim, [](uint8_t* block, const auto& l, int lane, int64_t group, int8_t* codes) {
    uint8_t* const to = block + (lane * l.groups + group) * l.kGroupBytes;
    if constexpr (kBits == 8) {
      __builtin_memcpy(to, codes, kGroup);
    } else {
      for (int i = 0; i < 16; ++i) to[i] = two_codes(codes[i], codes[i + 16]);
    }
  });
}

}  // namespace
}  // namespace miao::kernels::MIAO_ISA
