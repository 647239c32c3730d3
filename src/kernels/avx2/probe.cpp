// Probe loops of AVX2. Int8 products take three instructions here: vpmaddubsw, vpmaddwd, vpaddd.
#include <immintrin.h>

#include "kernels/probe.h"

namespace miao::kernels {

namespace {

constexpr int kChains = 10;  // independent sums: two ports times a latency of at most five

uint64_t read(const void* data, int64_t bytes) {
  const char* p = static_cast<const char*>(data);
  __m256i sum[8];
  for (auto& s : sum) s = _mm256_setzero_si256();
  for (int64_t i = 0; i < bytes; i += 256) {
    _mm_prefetch(p + i + 2048, _MM_HINT_T0);
    _mm_prefetch(p + i + 2048 + 64, _MM_HINT_T0);
    _mm_prefetch(p + i + 2048 + 128, _MM_HINT_T0);
    _mm_prefetch(p + i + 2048 + 192, _MM_HINT_T0);
    for (int k = 0; k < 8; ++k) {
      sum[k] = _mm256_add_epi64(sum[k], _mm256_load_si256(reinterpret_cast<const __m256i*>(p + i + 32 * k)));
    }
  }
  for (int k = 1; k < 8; ++k) sum[0] = _mm256_add_epi64(sum[0], sum[k]);
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

int64_t fp32(int64_t rounds, float* sink) {
  __m256 acc[kChains];
  for (int k = 0; k < kChains; ++k) acc[k] = _mm256_set1_ps(static_cast<float>(k));
  __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.5f);
  __asm__ volatile("" : "+x"(a), "+x"(b));
  for (int64_t r = 0; r < rounds; ++r) {
    for (int k = 0; k < kChains; ++k) acc[k] = _mm256_fmadd_ps(acc[k], a, b);
  }
  for (int k = 1; k < kChains; ++k) acc[0] = _mm256_add_ps(acc[0], acc[k]);
  *sink = _mm256_cvtss_f32(acc[0]);
  return rounds * kChains * 8 * 2;
}

int64_t int8(int64_t rounds, int32_t* sink) {
  __m256i acc[kChains];
  for (auto& s : acc) s = _mm256_setzero_si256();
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5), ones = _mm256_set1_epi16(1);
  for (int64_t r = 0; r < rounds; ++r) {
    for (int k = 0; k < kChains; ++k) {
      __asm__ volatile("" : "+x"(a));  // the product must be computed each time
      acc[k] = _mm256_add_epi32(acc[k], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
  for (int k = 1; k < kChains; ++k) acc[0] = _mm256_add_epi32(acc[0], acc[k]);
  *sink = _mm_cvtsi128_si32(_mm256_castsi256_si128(acc[0]));
  return rounds * kChains * 32 * 2;
}

}  // namespace

void fill_probe_avx2(Probe& probe) {
  probe.read = read;
  probe.fp32 = fp32;
  probe.int8 = int8;
}

}  // namespace miao::kernels
