// AMX INT8: 16 tokens x 16 output rows a tile, one group of K a multiplication, because each group has its own scales.
// The packed quad order [k / 4][16 rows][4] is the tile unit's own layout of its second operand. Integer results leave
// through an L1 buffer and enter the same FP32 chain as in the other tables, so the bits are the same.
// Few rows go to the AVX-512 functions: a tile costs the same for 1 token as for 16.
#include "kernels/avx512/quant_gemm.h"
#include "kernels/tables.h"

namespace miao::kernels {
namespace amx {

using namespace avx512;

constexpr int kTileRows = 16;
constexpr int64_t kFewRows = 4;  // up to here VNNI is faster, measured

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0 - 3: sums. Tiles 4, 5: activations (16 tokens x depth). Tiles 6, 7: codes (depth / 4 quads x 16 rows x 4).
template <int kDepth>
static void configure() {
  TileConfig c;
  for (int i = 0; i < 4; ++i) c.bytes[i] = 64, c.rows[i] = kTileRows;
  for (int i = 4; i < 6; ++i) c.bytes[i] = kDepth, c.rows[i] = kTileRows;
  for (int i = 6; i < 8; ++i) c.bytes[i] = 64, c.rows[i] = kDepth / 4;
  __asm__ volatile("" : : "r"(&c) : "memory");  // the intrinsic tells the compiler of the first 8 bytes only
  _tile_loadconfig(&c);
}

template <int kSub, bool kMin>
static inline void add_group(const int32_t* sums, const Panel& p, int64_t index, const GroupMeta* meta, int64_t ldm,
                             __m512* acc) {
  const __m512 scale = _mm512_load_ps(p.scale + index * 16);
  const int64_t g = index / kSub;
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
    const GroupMeta& gm = meta[r * ldm + g];
    const __m512 value = _mm512_cvtepi32_ps(_mm512_load_si512(sums + 16 * r));
    acc[r] = _mm512_fmadd_ps(value, _mm512_mul_ps(scale, _mm512_set1_ps(gm.scale)), acc[r]);
    if constexpr (kMin) {
      const __m512 min = _mm512_load_ps(p.min + index * 16);
      acc[r] = _mm512_fmadd_ps(min, _mm512_set1_ps(kSub == 1 ? gm.dsum : gm.dsum16[index % kSub]), acc[r]);
    }
  }
}

// Multiplies group `index` into sums[slot]. A macro, because the intrinsics want literal tile numbers.
#define MIAO_MULTIPLY(index, slot, a, b)                \
  if ((index) < n) {                                    \
    _tile_loadd(a, q + depth * (index), ldq);           \
    _tile_loadd(b, p.codes + 16 * depth * (index), 64); \
    _tile_zero(slot);                                   \
    _tile_dpbssd(slot, a, b);                           \
    _tile_stored(slot, sums[slot], 64);                 \
  }
#define MIAO_ADD(index, slot) \
  if ((index) < n) add_group<kSub, kMin>(sums[slot], p, index, meta, ldm, acc)

// 16 tokens (the first `valid` are stored) x the 16 rows of one panel. Three groups are in flight while one is added:
// from the loads to the stored sums a multiplication takes about 100 cycles, an addition 25.
template <int kSub, bool kMin>
static void tile16(const Panel& p, int64_t groups, const int8_t* q, int64_t ldq, const GroupMeta* meta, int64_t ldm,
                   int64_t valid, float* y, int64_t ldy) {
  constexpr int depth = 32 / kSub;
  alignas(64) int32_t sums[4][16 * kTileRows];
  __m512 acc[kTileRows];
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) acc[r] = _mm512_setzero_ps();
  const int64_t n = groups * kSub;
  __asm__ volatile("" : : : "memory");  // tile loads do not tell the compiler that they read memory
  MIAO_MULTIPLY(0, 0, 4, 6)
  MIAO_MULTIPLY(1, 1, 5, 7)
  MIAO_MULTIPLY(2, 2, 4, 6)
  for (int64_t i = 0; i < n; i += 4) {
    MIAO_MULTIPLY(i + 3, 3, 5, 7)
    MIAO_ADD(i, 0);
    MIAO_MULTIPLY(i + 4, 0, 4, 6)
    MIAO_ADD(i + 1, 1);
    MIAO_MULTIPLY(i + 5, 1, 5, 7)
    MIAO_ADD(i + 2, 2);
    MIAO_MULTIPLY(i + 6, 2, 4, 6)
    MIAO_ADD(i + 3, 3);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
    if (r < valid) _mm512_storeu_ps(y + r * ldy, acc[r]);
  }
}

template <DType D>
static void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                void* scratch) {
  constexpr QuantTraits t = quant_traits(D);
  const auto* block = static_cast<const uint8_t*>(packed);
  if (in.rows == 1) return gemv<D>(block, cols, blocks, in.q, in.meta, y);
  if (in.rows <= kFewRows) return gemm<D>(block, cols, blocks, in, y, ldy, scratch);
  configure<32 / t.sub>();
  const Panel panel = panel_at(scratch, cols);
  for (int64_t b = 0; b < blocks; ++b, block += packed_block_bytes(t, cols)) {
    unpack_panel<D, true>(block, cols, panel);
    for (int64_t r = 0; r < in.rows; r += kTileRows) {
      tile16<t.sub, has_min(t.scales)>(panel, cols / 32, in.q + r * in.ldq, in.ldq, in.meta + r * in.ldm, in.ldm,
                                       in.rows - r, y + r * ldy + 16 * b, ldy);
    }
  }
  _tile_release();
}

}  // namespace amx

void fill_matmul_amx(Kernels& table) {
#define MIAO_FILL(name)                                         \
  {                                                             \
    MatMul& m = table.matmul[static_cast<size_t>(DType::name)]; \
    m.gemm = #name ".amx.int8";                                 \
    m.run = amx::run<DType::name>;                              \
  }
  MIAO_QUANT_FORMATS(MIAO_FILL)
#undef MIAO_FILL
}

}  // namespace miao::kernels
