// AMX INT8: 16 tokens x 16 output rows a tile, one group of K a multiplication, because each group has its own scales.
// The packed quad order [k / 4][16 rows][4] is the tile unit's own layout of its second operand. Integer results leave
// through an L1 buffer and enter the same FP32 chain as in the other tables, so the bits are the same.
// Few rows go to the AVX-512 functions: a tile costs the same for 1 token as for 16, and up to 4 VNNI is faster.
#include "kernels/amx/tile_config.h"
#include "kernels/avx512/quant_gemm.h"
#include "kernels/tables.h"

namespace miao::kernels {
namespace amx {

using namespace avx512;

// Tiles 0 - 3: sums. Tiles 4, 5: activations (16 tokens x depth). Tiles 6, 7: codes (depth / 4 quads x 16 rows x 4).
template <int kDepth>
static void configure() {
  TileConfig c;
  for (int i = 0; i < 4; ++i) c.bytes[i] = 64, c.rows[i] = kTileRows;
  for (int i = 4; i < 6; ++i) c.bytes[i] = kDepth, c.rows[i] = kTileRows;
  for (int i = 6; i < 8; ++i) c.bytes[i] = 64, c.rows[i] = kDepth / 4;
  c.load();
}

// Beside tile instructions, products, fused sums and conversions of 512 bits leave by one port, one a cycle; integer
// and FP32 additions by two. So the sums get their bias by an addition, which saves the conversion. Adds the sums of
// scale group i to the 16 tokens' results. a, dsum: facts of the tokens in that group.
template <bool kMin>
static inline void add_group(const int32_t* sums, const float* weight_scale, const float* weight_min, const float* a,
                             const float* dsum, __m512* acc) {
  const __m512 scale = _mm512_load_ps(weight_scale), bias = bias_of(scale);
  const __m512i start = _mm512_set1_epi32(kBias);
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
    const __m512 value = scaled(_mm512_add_epi32(_mm512_load_si512(sums + 16 * r), start), scale, bias);
    acc[r] = _mm512_fmadd_ps(value, _mm512_set1_ps(a[r]), acc[r]);
    if constexpr (kMin) acc[r] = _mm512_fmadd_ps(_mm512_load_ps(weight_min), _mm512_set1_ps(dsum[r]), acc[r]);
  }
}

// Scale group i (half a group of 32 where kSub is 2). Macros, because the intrinsics want literal tile numbers.
#define MIAO_MULTIPLY(i, slot, a, b)                                               \
  if ((i) < n) {                                                                   \
    _tile_loadd(a, q + 32 * kTileRows * ((i) / kSub) + kDepth * ((i) % kSub), 32); \
    _tile_loadd(b, codes + 16 * kDepth * (i), 64);                                 \
    _tile_zero(slot);                                                              \
    _tile_dpbssd(slot, a, b);                                                      \
  }
#define MIAO_STORE(i, slot) \
  if ((i) < n) _tile_stored(slot, sums[slot], 64)
#define MIAO_ADD(i, slot, half)                                                                                        \
  if ((i) < n)                                                                                                         \
  add_group<kMin>(sums[slot], scale + 16 * (i), min + 16 * (i), a + 16 * ((i) / kSub), dsum[half] + 16 * ((i) / kSub), \
                  acc)

// 16 tokens (the first `valid` are stored) x the 16 rows of one panel. While group i is added, group i + 2 leaves the
// tile unit and i + 3 is multiplied: from the loads to the stored sums takes about 100 cycles, an addition 35.
template <int kSub, bool kMin>
static void tile16(const Panel& p, const Quantised& in, int64_t at, int64_t valid, float* y, int64_t ldy) {
  constexpr uint64_t kDepth = 32 / kSub;
  alignas(64) int32_t sums[4][16 * kTileRows];
  __m512 acc[kTileRows];
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) acc[r] = _mm512_setzero_ps();
  // Copies: the stores of tiles may change memory, so that members would be read again and again.
  const int8_t* const q = in.q + 32 * at;
  const uint8_t* const codes = p.codes;
  const float *const scale = p.scale, *const min = p.min, *const a = in.scale + at;
  const float* const dsum[2] = {(kSub == 1 ? in.dsum : in.dsum16[0]) + at, (kSub == 1 ? in.dsum : in.dsum16[1]) + at};
  const auto n = static_cast<uint64_t>(in.groups * kSub);
  __asm__ volatile("" : : : "memory");  // tile loads do not tell the compiler that they read memory
  MIAO_MULTIPLY(0, 0, 4, 6)
  MIAO_MULTIPLY(1, 1, 5, 7)
  MIAO_STORE(0, 0);
  MIAO_MULTIPLY(2, 2, 4, 6)
  MIAO_STORE(1, 1);
  for (uint64_t i = 0; i < n; i += 4) {
    MIAO_MULTIPLY(i + 3, 3, 5, 7)
    MIAO_STORE(i + 2, 2);
    MIAO_ADD(i, 0, 0);
    MIAO_MULTIPLY(i + 4, 0, 4, 6)
    MIAO_STORE(i + 3, 3);
    MIAO_ADD(i + 1, 1, 1);
    MIAO_MULTIPLY(i + 5, 1, 5, 7)
    MIAO_STORE(i + 4, 0);
    MIAO_ADD(i + 2, 2, 0);
    MIAO_MULTIPLY(i + 6, 2, 4, 6)
    MIAO_STORE(i + 5, 1);
    MIAO_ADD(i + 3, 3, 1);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
    if (r < valid) _mm512_storeu_ps(y + r * ldy, acc[r]);
  }
}

#undef MIAO_MULTIPLY
#undef MIAO_STORE
#undef MIAO_ADD

// The weights of tile16, where one tile of tokens takes them all: a group is unpacked to a ring in the first cache just
// before it is multiplied, and the stages run on from block to block without a pause.
template <DType D>
static void one_tile(const uint8_t* block, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy) {
  constexpr QuantTraits t = quant_traits(D);
  constexpr int kSub = t.sub;
  constexpr uint64_t kDepth = 32 / kSub;
  // Groups: one is added, one waits, one leaves the tile unit, one is multiplied, and the stores of two settle, because
  // a tile load of what was stored a moment ago waits long.
  constexpr int kRing = 8;
  alignas(64) uint8_t ring[kRing][512];
  alignas(64) float scale[kRing][2 * 16], min[kRing][2 * 16];
  alignas(64) int32_t sums[4][16 * kTileRows];
  __m512 acc[kTileRows];
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) acc[r] = _mm512_setzero_ps();
  const int8_t* const q = in.codes.q;
  const float *const a = in.codes.scale, *const dsum[2] = {kSub == 1 ? in.codes.dsum : in.codes.dsum16[0],
                                                           kSub == 1 ? in.codes.dsum : in.codes.dsum16[1]};
  const int64_t stride = packed_block_bytes(t, cols), valid = in.rows;
  const auto n = static_cast<uint64_t>(in.codes.groups * kSub), total = n * static_cast<uint64_t>(blocks);
  Unpack<D, true> from(block, cols);
  uint64_t unpacked = 0, multiplied = 0, added = 0;  // scale groups of the block that each stage is in

#define MIAO_UNPACK(i)                                                                       \
  if ((i) < total && (i) % kSub == 0) {                                                      \
    if (unpacked == n) unpacked = 0, from = Unpack<D, true>(block += stride, cols);          \
    from.next(ring[(i) / kSub % kRing], scale[(i) / kSub % kRing], min[(i) / kSub % kRing]); \
    unpacked += kSub;                                                                        \
  }
#define MIAO_MULTIPLY(i, slot, a, b)                                                             \
  if ((i) < total) {                                                                             \
    if (multiplied == n) multiplied = 0;                                                         \
    __asm__ volatile("" : : : "memory"); /* tile loads do not say that they read memory */       \
    _tile_loadd(a, q + 32 * kTileRows * (multiplied / kSub) + kDepth * (multiplied % kSub), 32); \
    _tile_loadd(b, ring[(i) / kSub % kRing] + 16 * kDepth * ((i) % kSub), 64);                   \
    _tile_zero(slot);                                                                            \
    _tile_dpbssd(slot, a, b);                                                                    \
    ++multiplied;                                                                                \
  }
#define MIAO_STORE(i, slot) \
  if ((i) < total) _tile_stored(slot, sums[slot], 64)
#define MIAO_ADD(i, slot)                                                                                    \
  if ((i) < total) {                                                                                         \
    const uint64_t h = (i) % kSub, g = 16 * (added / kSub), at = (i) / kSub % kRing;                         \
    add_group<has_min(t.scales)>(sums[slot], scale[at] + 16 * h, min[at] + 16 * h, a + g, dsum[h] + g, acc); \
    if (++added == n) {                                                                                      \
      added = 0;                                                                                             \
      _Pragma("GCC unroll 16") for (int r = 0; r < kTileRows; ++r) {                                         \
        if (r < valid) _mm512_storeu_ps(y + r * ldy, acc[r]);                                                \
        acc[r] = _mm512_setzero_ps();                                                                        \
      }                                                                                                      \
      y += 16;                                                                                               \
    }                                                                                                        \
  }

  MIAO_UNPACK(0u)
  MIAO_UNPACK(1u)
  MIAO_UNPACK(2u)
  MIAO_UNPACK(3u)
  MIAO_UNPACK(4u)
  MIAO_UNPACK(5u)
  MIAO_MULTIPLY(0u, 0, 4, 6)
  MIAO_MULTIPLY(1u, 1, 5, 7)
  MIAO_STORE(0u, 0);
  MIAO_MULTIPLY(2u, 2, 4, 6)
  MIAO_STORE(1u, 1);
  for (uint64_t i = 0; i < total; i += 4) {
    MIAO_MULTIPLY(i + 3, 3, 5, 7)
    MIAO_STORE(i + 2, 2);
    MIAO_UNPACK(i + 6)
    MIAO_ADD(i, 0)
    MIAO_MULTIPLY(i + 4, 0, 4, 6)
    MIAO_STORE(i + 3, 3);
    MIAO_UNPACK(i + 7)
    MIAO_ADD(i + 1, 1)
    MIAO_MULTIPLY(i + 5, 1, 5, 7)
    MIAO_STORE(i + 4, 0);
    MIAO_UNPACK(i + 8)
    MIAO_ADD(i + 2, 2)
    MIAO_MULTIPLY(i + 6, 2, 4, 6)
    MIAO_STORE(i + 5, 1);
    MIAO_UNPACK(i + 9)
    MIAO_ADD(i + 3, 3)
  }
#undef MIAO_UNPACK
#undef MIAO_MULTIPLY
#undef MIAO_STORE
#undef MIAO_ADD
}

template <DType D>
static void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                void* scratch) {
  constexpr QuantTraits t = quant_traits(D);
  const auto* block = static_cast<const uint8_t*>(packed);
  if (in.rows == 1) return gemv<D>(block, cols, blocks, in.codes, y);
  if (!in.codes.tiled) return gemm<D>(block, cols, blocks, in, y, ldy, scratch);
  configure<32 / t.sub>();
  if (in.rows <= kTileRows) {
    one_tile<D>(block, cols, blocks, in, y, ldy);
    _tile_release();
    return;
  }
  const Panel panel = panel_at(scratch, cols);
  for (int64_t b = 0; b < blocks; ++b, block += packed_block_bytes(t, cols)) {
    unpack_panel<D, true>(block, cols, panel);
    for (int64_t r = 0; r < in.rows; r += kTileRows)
      tile16<t.sub, has_min(t.scales)>(panel, in.codes, in.codes.index(r, 0), in.rows - r, y + r * ldy + 16 * b, ldy);
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
