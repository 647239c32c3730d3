// Kernels: the table of compute functions of one instruction set. Plain types only, so that ISA files can include it.
//
// Every function is pure: it takes pointers, sizes and strides, and never allocates, threads, logs or fails. All ISAs
// give the same bits: each FP32 reduction has one fixed order (16 lanes, then a fixed tree; see generic/), integer sums
// are exact, and a * b + c is always one fused operation. An output depends on its inputs alone, never on the
// number of rows computed beside it: GEMV and GEMM of a format add the groups of K in the same order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace miao::kernels {

enum class Isa : uint8_t { scalar, avx2, avx512, amx, count };
const char* isa_name(Isa isa);

constexpr int kLanes = 16;  // output rows of a packed weight block; lanes of a vector
constexpr int kGroup = 32;  // activations that share one scale
constexpr int kPage = 64;   // keys of one KV page and of one attention tile

static inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Per-group facts of a quantised activation row: x[i] ~ scale * q[i], q in [-127, 127].
struct GroupMeta {
  float scale;        // max |x| / 127 of the group
  int32_t nsum;       // minus the sum of the 32 codes
  float dsum;         // scale * sum of the 32 codes
  int32_t nsum16[2];  // the same of each half
  float dsum16[2];
  int32_t unused;
};
static_assert(sizeof(GroupMeta) == 32);

// Activations of `rows` tokens. Integer kernels read q and meta, float kernels x. q and meta must be readable (any
// content) up to round_up(rows, 16) rows.
struct Activations {
  const float* x = nullptr;  // (rows, cols), row stride ldx
  int64_t ldx = 0;
  const int8_t* q = nullptr;  // (rows, cols), row stride ldq bytes
  int64_t ldq = 0;
  const GroupMeta* meta = nullptr;  // (rows, cols / 32), row stride ldm
  int64_t ldm = 0;
  int64_t rows = 0;
};

// Matrix product of one weight format. A packed weight is ceil(rows / 16) blocks of 16 output rows, each block
// block_bytes(cols) long and streamed in order; codes and scales are those of the file, only their order changes.
struct MatMul {
  const char* gemv = nullptr;  // names for reports: "q4_0.avx512.vnni"; null when the table lacks the format
  const char* gemm = nullptr;
  bool integer = false;  // reads Activations::q, else Activations::x
  int64_t (*block_bytes)(int64_t cols) = nullptr;
  // Packs 16 rows of file blocks (null pointer = a row of zeros) to dst, 64-byte aligned.
  void (*pack)(const void* const rows[kLanes], int64_t cols, void* dst) = nullptr;
  // y[t * ldy + 16 * b + lane] = dot(activation row t, weight row 16 * b + lane), b < blocks.
  // scratch: scratch_bytes(cols), 64-byte aligned, private to the calling thread.
  void (*run)(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
              void* scratch) = nullptr;
  int64_t (*scratch_bytes)(int64_t cols) = nullptr;
};

enum class Act : uint8_t { silu, gelu_tanh, gelu, relu };

// KV pages of one sequence, layer and KV head. Page p holds the keys of positions 64 p .. 64 p + 63; d is head_dim
// rounded up to 16, padding is zero.
//   K page: [64 / 16][d][16]: 16 keys are the lanes.      V page: [64][d]: the head dimensions are the lanes.
struct AttentionArgs {
  const float* q = nullptr;  // query t of head h at q + t * ldq + h * head_dim
  int64_t ldq = 0;
  float* out = nullptr;  // (queries, group * head_dim), row stride ldo
  int64_t ldo = 0;
  int queries = 0;  // consecutive positions first .. first + queries - 1 of one sequence
  int64_t first = 0;
  int group = 1;  // query heads that share this KV head
  int head_dim = 0;
  const void* const* k_pages = nullptr;
  const void* const* v_pages = nullptr;
  bool causal = true;       // key j is seen by query i when j <= i; else all of 0 .. keys - 1
  int64_t keys = 0;         // used when not causal
  int64_t window = 0;       // sliding window: j > i - window; 0 = none
  float scale = 1;          // of q . k
  float softcap = 0;        // s = softcap * tanh(s / softcap); 0 = none
  void* scratch = nullptr;  // attention_scratch(head_dim, group) bytes, private to the thread, 64-byte aligned
};

struct Kernels {
  Isa isa = Isa::scalar;
  const char* name = "scalar";

  MatMul matmul[static_cast<size_t>(DType::count)];

  // n codes (n a multiple of 32) and n / 32 metas of one FP32 row.
  void (*quantize)(const float* x, int64_t n, int8_t* q, GroupMeta* meta) = nullptr;
  // out = x / sqrt(mean(x^2) + eps) * weight (weight null = 1).
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps, float* out) = nullptr;
  // out = (x - mean) / sqrt(var + eps) * weight + bias (either may be null).
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t n, float eps,
                     float* out) = nullptr;
  // Rotates the first 2 * half values of each of `heads` heads in place. Pairs are (i, i + half), or (2i, 2i + 1) when
  // interleaved; cos and sin hold `half` values.
  void (*rope)(float* x, int64_t heads, int64_t head_dim, int64_t half, bool interleaved, const float* cos,
               const float* sin) = nullptr;
  void (*gated)(Act act, const float* gate, const float* up, int64_t n, float* out) = nullptr;  // out = act(gate) * up
  void (*activate)(Act act, float* x, int64_t n) = nullptr;
  void (*add)(const float* a, const float* b, int64_t n, float* out) = nullptr;
  void (*scale)(float* x, float factor, int64_t n) = nullptr;
  void (*softcap)(float* x, float cap, int64_t n) = nullptr;  // x = cap * tanh(x / cap)
  void (*softmax)(const float* x, int64_t n, float temperature, float* out) = nullptr;
  int64_t (*argmax)(const float* x, int64_t n) = nullptr;  // the first of equals; NaN never wins
  // KV cache rows of one head: element type f32, f16 or bf16 by index 0, 1, 2 (see kv_index).
  void (*store_k[3])(void* page, int slot, const float* k, int head_dim) = {};
  void (*store_v[3])(void* page, int slot, const float* v, int head_dim) = {};
  void (*attention[3])(const AttentionArgs& args) = {};
};

static inline int kv_index(DType kv) { return kv == DType::f32 ? 0 : kv == DType::f16 ? 1 : 2; }
// Bytes of one K or V page of one head.
static inline int64_t page_bytes(DType kv, int64_t head_dim) {
  return kPage * round_up(head_dim, kLanes) * (kv == DType::f32 ? 4 : 2);
}
int64_t attention_scratch(int64_t head_dim, int64_t group);

}  // namespace miao::kernels
