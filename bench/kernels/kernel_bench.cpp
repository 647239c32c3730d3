// Speed of the vector functions, attention and float products of each table, best of many repeats on one thread.
//
//   cmake --build build --target miao_kernels
//   g++ -std=c++20 -O2 -Isrc bench/kernels/kernel_bench.cpp build/libmiao_kernels.a build/libmiao_tensor.a
//       build/libmiao_base.a -o kernel_bench      (one line; then: ./kernel_bench [table] [part of a name])
//
// The first line is the peak of this core in FP32 multiply-adds, what the percentages refer to.
#include <immintrin.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "kernels/generic/test_support.h"

namespace {

using namespace miao;
using namespace miao::kernels;

double peak = 0;       // FLOP/s
std::string only;      // part of the names to run
std::string isa_only;  // table to run

// Processor time of this thread, so that other programs on a shared machine count less.
double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Seconds of one call: the best of repeats over `budget` seconds.
double best(const std::function<void()>& run, double budget = 0.5) {
  run();
  int inner = 1;
  double least = 1e9;
  const double start = now();
  while (now() - start < budget) {
    const double t0 = now();
    for (int i = 0; i < inner; ++i) run();
    const double t = now() - t0;
    least = std::min(least, t / inner);
    if (t < 50e-6) inner *= 2;
  }
  return least;
}

void report(const Kernels& k, const std::string& name, double flops, double bytes, const std::function<void()>& run) {
  if (name.find(only) == std::string::npos) return;
  const double t = best(run);
  std::printf("%-7s %-44s %10.2f us", k.name, name.c_str(), t * 1e6);
  if (flops > 0) std::printf("  %7.1f GFLOP/s %5.1f%%", flops / t * 1e-9, 100 * flops / t / peak);
  if (bytes > 0) std::printf("  %7.1f GB/s", bytes / t * 1e-9);
  std::printf("\n");
}

constexpr int kRounds = 2000;

__attribute__((target("avx512f"))) void multiply512() {
  __m512 a[20];
  const __m512 x = _mm512_set1_ps(0.999f);
  for (int c = 0; c < 20; ++c) a[c] = _mm512_set1_ps(static_cast<float>(c));
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 20
    for (int c = 0; c < 20; ++c) a[c] = _mm512_fmadd_ps(a[c], x, x);
  }
  for (int c = 0; c < 20; ++c) asm volatile("" ::"v"(a[c]));
}
__attribute__((target("avx2,fma"))) void multiply256() {
  __m256 a[10];
  const __m256 x = _mm256_set1_ps(0.999f);
  for (int c = 0; c < 10; ++c) a[c] = _mm256_set1_ps(static_cast<float>(c));
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < 10; ++c) a[c] = _mm256_fmadd_ps(a[c], x, x);
  }
  for (int c = 0; c < 10; ++c) asm volatile("" ::"x"(a[c]));
}
double measure_peak(const Kernels& k) {
  if (k.isa >= Isa::avx512) return 20 * 32.0 * kRounds / best(multiply512);
  return 10 * 16.0 * kRounds / best(multiply256);
}

// Causal attention of one KV head; `queries` positions up to `tokens`, in tiles of `tile`.
void attention(const Kernels& k, DType kv, int head_dim, int group, int tokens, int queries, int tile) {
  const int64_t bytes = page_bytes(kv, head_dim);
  const int pages = (tokens + kPage - 1) / kPage;
  Aligned memory(static_cast<size_t>(2 * bytes * pages));
  std::vector<const void*> kp, vp;
  const auto row = random_floats(static_cast<size_t>(head_dim), 1);
  for (int p = 0; p < pages; ++p) {
    char* base = memory.as<char>() + 2 * bytes * p;
    for (int s = 0; s < kPage; ++s) {
      k.store_k[kv_index(kv)](base, s, row.data(), head_dim);
      k.store_v[kv_index(kv)](base + bytes, s, row.data(), head_dim);
    }
    kp.push_back(base);
    vp.push_back(base + bytes);
  }
  const auto q = random_floats(static_cast<size_t>(queries * group * head_dim), 2);
  std::vector<float> out(q.size());
  Aligned scratch(static_cast<size_t>(attention_scratch(head_dim, group)));
  AttentionArgs a;
  a.ldq = a.ldo = group * head_dim;
  a.group = group;
  a.head_dim = head_dim;
  a.k_pages = kp.data();
  a.v_pages = vp.data();
  a.scale = 0.125f;
  a.scratch = scratch.as();
  double flops = 0;
  for (int i = tokens - queries; i < tokens; ++i) flops += 4.0 * head_dim * group * (i + 1);
  const std::string name = "attention " + std::string(format(kv).name) + " d" + std::to_string(head_dim) + " group " +
                           std::to_string(group) + " queries " + std::to_string(queries) + " of " +
                           std::to_string(tokens);
  report(k, name, flops, queries == 1 ? 2.0 * bytes * pages : 0, [&] {
    for (int t = 0; t < queries; t += tile) {
      a.q = q.data() + t * a.ldq;
      a.out = out.data() + t * a.ldo;
      a.queries = std::min(tile, queries - t);
      a.first = tokens - queries + t;
      k.attention[kv_index(kv)](a);
    }
  });
}

void product(const Kernels& k, DType dtype, int64_t rows, int64_t cols, int64_t outputs) {
  const MatMul& m = k.matmul[static_cast<size_t>(dtype)];
  const int64_t blocks = outputs / kLanes;
  Aligned packed(static_cast<size_t>(m.block_bytes(cols) * blocks));
  std::vector<uint16_t> halves(static_cast<size_t>(2 * cols), 0x3c00);
  const void* file[kLanes];
  std::fill(file, file + kLanes, halves.data());
  for (int64_t b = 0; b < blocks; ++b) m.pack(file, cols, packed.as<char>() + b * m.block_bytes(cols));
  const auto x = random_floats(static_cast<size_t>(rows * cols), 3);
  std::vector<float> y(static_cast<size_t>(rows * outputs));
  Aligned scratch(static_cast<size_t>(m.scratch_bytes(cols)));
  Activations in;
  in.x = x.data();
  in.ldx = cols;
  in.rows = rows;
  const std::string name = std::string(format(dtype).name) + " product " + std::to_string(rows) + " x " +
                           std::to_string(cols) + " x " + std::to_string(outputs);
  report(k, name, 2.0 * static_cast<double>(rows * cols * outputs), static_cast<double>(m.block_bytes(cols) * blocks),
         [&] { m.run(packed.as(), cols, blocks, in, y.data(), outputs, scratch.as()); });
}

void rows(const Kernels& k) {
  constexpr int64_t n = 1536, vocab = 49152;
  const auto x = random_floats(vocab, 1), w = random_floats(vocab, 2);
  std::vector<float> out(vocab);
  std::vector<int8_t> q(n);
  std::vector<GroupMeta> meta(n / kGroup);
  report(k, "quantize 1536", 0, 4 * n, [&] { k.quantize(x.data(), n, q.data(), meta.data()); });
  report(k, "rms_norm 1536", 0, 4 * n, [&] { k.rms_norm(x.data(), w.data(), n, 1e-5f, out.data()); });
  report(k, "layer_norm 1536", 0, 4 * n, [&] { k.layer_norm(x.data(), w.data(), w.data(), n, 1e-5f, out.data()); });
  report(k, "gated silu 1536", 0, 4 * n, [&] { k.gated(Act::silu, x.data(), w.data(), n, out.data()); });
  report(k, "gated gelu_tanh 1536", 0, 4 * n, [&] { k.gated(Act::gelu_tanh, x.data(), w.data(), n, out.data()); });
  report(k, "gated gelu 1536", 0, 4 * n, [&] { k.gated(Act::gelu, x.data(), w.data(), n, out.data()); });
  report(k, "rope 9 x 64", 0, 4 * 576, [&] { k.rope(out.data(), 9, 64, 32, false, x.data(), w.data()); });
  report(k, "rope interleaved 9 x 64", 0, 4 * 576, [&] { k.rope(out.data(), 9, 64, 32, true, x.data(), w.data()); });
  std::vector<char> page(static_cast<size_t>(page_bytes(DType::f16, 64)));
  report(k, "store_k 64", 0, 256, [&] { k.store_k[1](page.data(), 5, x.data(), 64); });
  report(k, "store_v 64", 0, 256, [&] { k.store_v[1](page.data(), 5, x.data(), 64); });
  report(k, "argmax 49152", 0, 4 * vocab, [&] {
    const volatile int64_t best = k.argmax(x.data(), vocab);
    (void)best;
  });
  report(k, "softmax 49152", 0, 4 * vocab, [&] { k.softmax(x.data(), vocab, 1.0f, out.data()); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) isa_only = argv[1];
  if (argc > 2) only = argv[2];
  for (const Kernels* k : tables()) {
    if (!isa_only.empty() && isa_only != k->name) continue;
    peak = measure_peak(*k);
    std::printf("%-7s peak %.1f GFLOP/s\n", k->name, peak * 1e-9);
    rows(*k);
    for (DType kv : {DType::f32, DType::f16, DType::bf16}) {
      attention(*k, kv, 64, 3, 512, 512, 32);
      attention(*k, kv, 64, 3, 512, 1, 1);
    }
    attention(*k, DType::f16, 128, 4, 2048, 256, 32);
    attention(*k, DType::f16, 64, 3, 64, 64, 32);
    attention(*k, DType::f16, 80, 1, 512, 512, 32);
    attention(*k, DType::f16, 64, 1, 4096, 1, 1);
    attention(*k, DType::f16, 128, 8, 4096, 1, 1);
    for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      for (int64_t n : {1, 2, 4, 8, 16, 64, 256}) product(*k, dtype, n, 576, 128);
      product(*k, dtype, 1, 2048, 2048);
      product(*k, dtype, 256, 2048, 512);
      product(*k, dtype, 256, 576, 576);
    }
  }
}
