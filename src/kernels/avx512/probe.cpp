// Probe loops of AVX-512: 64-byte loads, FMA on ZMM, vpdpbusd (VNNI).
#include <immintrin.h>

#include "kernels/probe.h"

namespace miao::kernels {

namespace {

constexpr int kChains = 12;  // independent sums: two ports times a latency of five, and some

uint64_t read(const void* data, int64_t bytes) {
  const char* p = static_cast<const char*>(data);
  __m512i sum[8];
  for (auto& s : sum) s = _mm512_setzero_si512();
  for (int64_t i = 0; i < bytes; i += 512) {
    for (int k = 0; k < 8; ++k) {
      _mm_prefetch(p + i + 2048 + 64 * k, _MM_HINT_T0);
      sum[k] = _mm512_add_epi64(sum[k], _mm512_load_si512(p + i + 64 * k));
    }
  }
  for (int k = 1; k < 8; ++k) sum[0] = _mm512_add_epi64(sum[0], sum[k]);
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, sum[0]);
  uint64_t total = 0;
  for (uint64_t lane : lanes) total += lane;
  return total;
}

int64_t fp32(int64_t rounds, float* sink) {
  __m512 acc[kChains];
  for (int k = 0; k < kChains; ++k) acc[k] = _mm512_set1_ps(static_cast<float>(k));
  __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.5f);
  __asm__ volatile("" : "+v"(a), "+v"(b));
  for (int64_t r = 0; r < rounds; ++r) {
    for (int k = 0; k < kChains; ++k) acc[k] = _mm512_fmadd_ps(acc[k], a, b);
  }
  for (int k = 1; k < kChains; ++k) acc[0] = _mm512_add_ps(acc[0], acc[k]);
  alignas(64) float lanes[16];
  _mm512_store_ps(lanes, acc[0]);
  *sink = lanes[0];
  return rounds * kChains * 16 * 2;
}

int64_t int8(int64_t rounds, int32_t* sink) {
  __m512i acc[kChains];
  for (auto& s : acc) s = _mm512_setzero_si512();
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
  __asm__ volatile("" : "+v"(a), "+v"(b));
  for (int64_t r = 0; r < rounds; ++r) {
    for (int k = 0; k < kChains; ++k) acc[k] = _mm512_dpbusd_epi32(acc[k], a, b);
  }
  for (int k = 1; k < kChains; ++k) acc[0] = _mm512_add_epi32(acc[0], acc[k]);
  alignas(64) int32_t lanes[16];
  _mm512_store_si512(lanes, acc[0]);
  *sink = lanes[0];
  return rounds * kChains * 64 * 2;
}

}  // namespace

void fill_probe_avx512(Probe& probe) {
  probe.read = read;
  probe.fp32 = fp32;
  probe.int8 = int8;
}

}  // namespace miao::kernels
