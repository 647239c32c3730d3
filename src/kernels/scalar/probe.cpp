// Probe loops in plain C++: the compiler may use the baseline's vectors, as it does for the scalar kernels.
#include "kernels/probe.h"

namespace miao::kernels {

namespace {

uint64_t read(const void* data, int64_t bytes) {
  const auto* words = static_cast<const uint64_t*>(data);
  uint64_t sum[8] = {};
  for (int64_t i = 0; i < bytes / 8; i += 8) {
    for (int k = 0; k < 8; ++k) sum[k] += words[i + k];
  }
  uint64_t total = 0;
  for (uint64_t s : sum) total += s;
  return total;
}

int64_t fp32(int64_t rounds, float* sink) {
  float acc[32];
  for (int k = 0; k < 32; ++k) acc[k] = static_cast<float>(k);
  const volatile float source[2] = {0.999f, 0.5f};
  const float a = source[0], b = source[1];
  for (int64_t r = 0; r < rounds; ++r) {
    for (int k = 0; k < 32; ++k) acc[k] = acc[k] * a + b;
  }
  float total = 0;
  for (float x : acc) total += x;
  *sink = total;
  return rounds * 32 * 2;
}

int64_t int8(int64_t rounds, int32_t* sink) {
  volatile int8_t source[2][64];
  int8_t a[64], b[64];
  for (int k = 0; k < 64; ++k) {
    source[0][k] = static_cast<int8_t>(k);
    source[1][k] = static_cast<int8_t>(64 - k);
    a[k] = source[0][k];
    b[k] = source[1][k];
  }
  int32_t total = 0;
  for (int64_t r = 0; r < rounds; ++r) {
    int32_t sum = 0;
    for (int k = 0; k < 64; ++k) sum += int32_t{a[k]} * b[k];
    total += sum;
    a[r & 63] = static_cast<int8_t>(sum);  // keeps the rounds apart
  }
  *sink = total;
  return rounds * 64 * 2;
}

}  // namespace

void fill_probe_scalar(Probe& probe) {
  probe.read = read;
  probe.fp32 = fp32;
  probe.int8 = int8;
}

}  // namespace miao::kernels
