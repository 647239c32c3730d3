// AVX2 without VNNI: vpmaddubsw on |w| and a with w's sign. Codes and activations stay within 128 and 127, so a pair
// sums to at most 2 x 128 x 127 = 32,512: it cannot saturate, and the sums equal those of VNNI bit for bit.
// A group is unpacked once to L1 and swept over all activation rows.
#include <immintrin.h>

#include "kernels/quant/layout.h"
#include "kernels/table.h"
#include "kernels/tables.h"

namespace miao::kernels {
namespace avx2 {

static inline void widen_f16(const uint8_t* src, float* dst) {
  _mm256_storeu_ps(dst, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)src)));
  _mm256_storeu_ps(dst + 8, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(src + 16))));
}

static inline void look_up(const uint8_t table[16], uint8_t codes[64]) {
  const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i*)table));
  for (int i = 0; i < 64; i += 32) {
    __m256i* p = (__m256i*)(codes + i);
    _mm256_storeu_si256(p, _mm256_shuffle_epi8(t, _mm256_loadu_si256(p)));
  }
}

#include "kernels/quant/unpack.inl"

static inline __m256i dot4(__m256i w, __m256i a, bool sign) {
  const __m256i pairs =
      sign ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)) : _mm256_maddubs_epi16(w, a);
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

// One unpacked block against NR rows: lanes 0-7 and 8-15 of the 16 output rows in two registers.
template <DType D, int NR>
static void tile(const uint8_t* codes, const float* scales, const float* mins, const Quantised& in, int64_t row,
                 float* y, int64_t ldy) {
  constexpr QuantTraits t = quant_traits(D);
  constexpr int sub = t.sub, quads = 8 / sub;
  __m256 acc[NR][2];
  for (int r = 0; r < NR; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
  const int64_t row_step = in.row_step();
  for (int64_t g = 0; g < in.groups; ++g) {
    const int64_t at = in.index(row, g);
    for (int h = 0; h < sub; ++h) {
      __m256i sum[NR][2];
      for (int r = 0; r < NR; ++r) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
      for (int j = h * quads; j < (h + 1) * quads; ++j) {
        const __m256i w0 = _mm256_loadu_si256((const __m256i*)(codes + 512 * g + 64 * j));
        const __m256i w1 = _mm256_loadu_si256((const __m256i*)(codes + 512 * g + 64 * j + 32));
        for (int r = 0; r < NR; ++r) {
          int32_t word;
          __builtin_memcpy(&word, in.q + 32 * (at + r * row_step) + 4 * j, 4);
          const __m256i a = _mm256_set1_epi32(word);
          sum[r][0] = _mm256_add_epi32(sum[r][0], dot4(w0, a, t.zero_shift >= 0));
          sum[r][1] = _mm256_add_epi32(sum[r][1], dot4(w1, a, t.zero_shift >= 0));
        }
      }
      for (int half = 0; half < 2; ++half) {
        const __m256 scale = _mm256_loadu_ps(scales + (g * sub + h) * 16 + 8 * half);
        for (int r = 0; r < NR; ++r) {
          const int64_t entry = at + r * row_step;
          acc[r][half] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum[r][half]), scale),
                                         _mm256_set1_ps(in.scale[entry]), acc[r][half]);
          if constexpr (has_min(t.scales)) {
            const __m256 min = _mm256_loadu_ps(mins + (g * sub + h) * 16 + 8 * half);
            const float* dsum = sub == 1 ? in.dsum : in.dsum16[h];
            acc[r][half] = _mm256_fmadd_ps(min, _mm256_set1_ps(dsum[entry]), acc[r][half]);
          }
        }
      }
    }
  }
  for (int r = 0; r < NR; ++r) {
    _mm256_storeu_ps(y + r * ldy, acc[r][0]);
    _mm256_storeu_ps(y + r * ldy + 8, acc[r][1]);
  }
}

static int64_t scratch_bytes(int64_t cols) { return cols * 16 + cols / 32 * 2 * 64 * 2; }

template <DType D>
static void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                void* scratch) {
  constexpr QuantTraits t = quant_traits(D);
  const int64_t groups = cols / 32;
  const auto* block = static_cast<const uint8_t*>(packed);
  auto* codes = static_cast<uint8_t*>(scratch);
  auto* scales = (float*)(codes + cols * 16);
  float* mins = scales + groups * 32;
  for (int64_t b = 0; b < blocks; ++b, block += packed_block_bytes(t, cols)) {
    ScaleCursor<D> cursor(block);
    const uint8_t* group = block + scale_area(t, cols);
    for (int64_t g = 0; g < groups; ++g, group += code_bytes(t.codes)) {
      unpack_codes<D, true>(group, codes + 512 * g);
      cursor.next(scales + g * t.sub * 16, mins + g * t.sub * 16);
    }
    int64_t r = 0;
    for (; r + 2 <= in.rows; r += 2) {
      tile<D, 2>(codes, scales, mins, in.codes, r, y + r * ldy + 16 * b, ldy);
    }
    if (r < in.rows) {
      tile<D, 1>(codes, scales, mins, in.codes, r, y + r * ldy + 16 * b, ldy);
    }
  }
}

}  // namespace avx2

void fill_matmul_avx2(Kernels& table) {
#define MIAO_FILL(name)                                         \
  {                                                             \
    MatMul& m = table.matmul[static_cast<size_t>(DType::name)]; \
    m.gemv = m.gemm = #name ".avx2.maddubs";                    \
    m.run = avx2::run<DType::name>;                             \
    m.scratch_bytes = avx2::scratch_bytes;                      \
  }
  MIAO_QUANT_FORMATS(MIAO_FILL)
#undef MIAO_FILL
}

}  // namespace miao::kernels
