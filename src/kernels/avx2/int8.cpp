// The int8 product with one scale a row, AVX2 without VNNI: vpmaddubsw on |w| and a with w's sign. Both codes stay
// within 127, so a pair sums to at most 2 x 127 x 127 = 32,258: it cannot saturate, and the sums are exact.
#include "kernels/generic/vec16_avx2.h"
//
#include "kernels/generic/row_codes.inl"
#include "kernels/tables.h"

namespace miao::kernels {
namespace avx2 {

// The element type matters: sums kept as __m256i, which is of 64-bit lanes, g++ 12 copies at every round of a loop.
using Sums = int32_t __attribute__((vector_size(32)));

// What the carries of a row add to half a block, in units of 128. Digits are at most 127: pairs cannot saturate.
static inline Sums carry_sum(const RowCarries& carries, const int8_t* codes) {
  const auto dot4 = [&](const RowCarry& c) {
    int32_t digits;
    __builtin_memcpy(&digits, c.digit, 4);
    const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + int64_t{c.quad} * 64));
    return (Sums)_mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi32(digits), w), _mm256_set1_epi16(1));
  };
  Sums sum{};
  for (int32_t i = 0; i < carries.plus; ++i) sum += dot4(carries.list[i]);
  for (int32_t i = 1; i <= carries.minus; ++i) sum -= dot4(carries.end[-i]);
  return sum;
}

// NR rows of one tile from `row` against one block.
template <int NR>
MIAO_NOINLINE static void int8_tile(const Int8Block& block, const RowCodes& in, int64_t row, const Addend& add,
                                    float* y, int64_t ldy) {
  Sums sum[NR][2];
  MIAO_UNROLL for (int r = 0; r < NR; ++r) sum[r][0] = sum[r][1] = Sums{};
  const __m256i flip = _mm256_set1_epi8(-128), ones = _mm256_set1_epi16(1);
  const int8_t* w = block.codes;
  const uint8_t* q = in.q + in.offset(row);
  for (int64_t c = 0; c < in.chunks; ++c, q += in.chunk_step()) {
    for (int j = 0; j < kChunk; j += 4, w += 4 * kLanes) {
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
      const __m256i abs_low = _mm256_abs_epi8(low), abs_high = _mm256_abs_epi8(high);
      MIAO_UNROLL for (int r = 0; r < NR; ++r) {
        int32_t word;
        __builtin_memcpy(&word, q + r * kChunk + j, 4);
        const __m256i a = _mm256_xor_si256(_mm256_set1_epi32(word), flip);
        const auto dot4 = [&](__m256i magnitude, __m256i sign) {
          return (Sums)_mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(a, sign)), ones);
        };
        sum[r][0] += dot4(abs_low, low);
        sum[r][1] += dot4(abs_high, high);
      }
    }
  }
  MIAO_UNROLL for (int r = 0; r < NR; ++r) {
    const __m256 scale = _mm256_set1_ps(in.scale[row + r]);
    const RowCarries carries = in.carries(row + r);
    for (int half = 0; half < 2; ++half) {
      __m256 value = _mm256_cvtepi32_ps((__m256i)sum[r][half]);
      if (carries.any()) {
        const Sums carry = carry_sum(carries, block.codes + 32 * half);
        value = _mm256_fmadd_ps(_mm256_cvtepi32_ps((__m256i)carry), _mm256_set1_ps(128.0f), value);
      }
      value = _mm256_mul_ps(value, _mm256_loadu_ps(block.scale + 8 * half));
      float* const out = y + r * ldy + 8 * half;
      __m256 total = _mm256_mul_ps(value, scale);
      if (add.bias != nullptr) total = _mm256_add_ps(total, _mm256_loadu_ps(add.bias + 8 * half));
      if (add.y) total = _mm256_add_ps(total, _mm256_loadu_ps(out));
      _mm256_storeu_ps(out, total);
    }
  }
}

static void run_int8_add(const void* packed, int64_t cols, int64_t blocks, const Activations& in, const Addend& add,
                         float* y, int64_t ldy, void*) {
  const auto* at = static_cast<const uint8_t*>(packed);
  for (int64_t b = 0; b < blocks; ++b, at += int8_block_bytes(cols), y += kLanes) {
    const Int8Block block(at);
    const Addend own{add.bias == nullptr ? nullptr : add.bias + kLanes * b, add.y};
    int64_t r = 0;
    for (; r + 4 <= in.rows; r += 4) int8_tile<4>(block, in.row_codes, r, own, y + r * ldy, ldy);
    for (; r < in.rows; ++r) int8_tile<1>(block, in.row_codes, r, own, y + r * ldy, ldy);
  }
}

static void run_int8(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                     void* scratch) {
  run_int8_add(packed, cols, blocks, in, {}, y, ldy, scratch);
}

}  // namespace avx2

void fill_int8_avx2(Kernels& table) {
  avx2::fill_row_codes(table);
  table.int8.gemv = table.int8.gemm = "int8.avx2.maddubs";
  table.int8.run = avx2::run_int8;
  table.int8.run_add = avx2::run_int8_add;
}

}  // namespace miao::kernels
