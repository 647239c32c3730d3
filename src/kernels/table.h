// Kernels: the table of compute functions of one instruction set. Plain types only, so that ISA files can include it.
//
// Every function is pure: it takes pointers, sizes and strides, and never allocates, threads, logs or fails. All ISAs
// give the same bits: each FP32 reduction has one fixed order (16 lanes, then a fixed tree; see generic/), integer sums
// are exact, and a * b + c is always one fused operation. An output depends on its inputs alone, never on the
// number of rows computed beside it: GEMV and GEMM of a format add the groups of K in the same order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activations.h"
#include "kernels/kv.h"
#include "tensor/dtype.h"

namespace miao::kernels {

enum class Isa : uint8_t { scalar, avx2, avx512, amx, count };
const char* isa_name(Isa isa);

// Of packed weights, the same on every ISA. Files on disk carry it (models/pack_cache.h): a change of what pack() or
// Linear::pack() writes, block_bytes() says, or a format decodes to raises it. packed_layout_test.cpp tells of most.
constexpr int kPackedLayout = 2;

// What a product may add to its results before it stores them: y = (result + bias) + y.
struct Addend {
  const float* bias = nullptr;  // of the first output on; null = none
  bool y = false;               // what y holds
};

// Matrix product of one weight format. A packed weight is ceil(rows / 16) blocks of 16 output rows, each block
// block_bytes(cols) long and streamed in order; codes and scales are those of the file, only their order changes.
struct MatMul {
  const char* gemv = nullptr;  // names for reports: "q4_0.avx512.vnni"; null when the table lacks the format
  const char* gemm = nullptr;
  Reads reads = Reads::values;
  int64_t (*block_bytes)(int64_t cols) = nullptr;
  // Packs 16 rows of file blocks (null pointer = a row of zeros) to dst, 64-byte aligned.
  void (*pack)(const void* const rows[kLanes], int64_t cols, void* dst) = nullptr;
  // Row `lane` of a packed block as FP32: what the file's row decodes to, bit for bit.
  void (*unpack)(const void* block, int64_t cols, int lane, float* row) = nullptr;
  // y[t * ldy + 16 * b + lane] = dot(activation row t, weight row 16 * b + lane), b < blocks.
  // scratch: scratch_bytes(cols), 64-byte aligned, private to the calling thread.
  void (*run)(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
              void* scratch) = nullptr;
  // The same with additions; null where the caller has to make them.
  void (*run_add)(const void* packed, int64_t cols, int64_t blocks, const Activations& in, const Addend& add, float* y,
                  int64_t ldy, void* scratch) = nullptr;
  int64_t (*scratch_bytes)(int64_t cols) = nullptr;
};

enum class Act : uint8_t { silu, gelu_tanh, gelu, relu, tanh };

// KV pages of one sequence, layer and KV head. Page p holds the keys of positions 64 p .. 64 p + 63; d is head_dim
// rounded up to 16, padding is zero.
//   K page: [64 / 16][d][16]: 16 keys are the lanes.      V page: [64][d]: the head dimensions are the lanes.
// Pages of codes are drawn in generic/kv_codes.h.
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
  const void* k_after = nullptr;  // pages that this thread reads next, or null: fetched beside the last page's work
  const void* v_after = nullptr;
  bool causal = true;  // key j is seen by query i when j <= i; else all of 0 .. keys - 1
  int64_t keys = 0;    // used when not causal
  int64_t window = 0;  // sliding window: j > i - window, and j < i + window when not causal; 0 = none
  float scale = 1;     // of q . k
  float softcap = 0;   // s = softcap * tanh(s / softcap); 0 = none
  // Added to the score of key j and query i of head h: bias[h * ld_bias + j - i]. Whole pages are read, so it holds
  // kPage values more on both sides than there are distances. Null = none.
  const float* bias = nullptr;
  int64_t ld_bias = 0;
  void* scratch = nullptr;  // attention_scratch(kv, head_dim, group) bytes, private to the thread, 64-byte aligned
};

// What reads and writes pages of one format.
struct KvKernels {
  // The key or value of one position of a page, slot 0 .. 63, from head_dim values.
  void (*store_k)(void* page, int slot, const float* k, int head_dim) = nullptr;
  void (*store_v)(void* page, int slot, const float* v, int head_dim) = nullptr;
  void (*attention)(const AttentionArgs& args) = nullptr;
};

struct Kernels {
  Isa isa = Isa::scalar;
  const char* name = "scalar";

  MatMul matmul[static_cast<size_t>(DType::count)];
  // int8 codes with one scale a row, packed from FP32 rows. Reads Activations::row_codes and sums all of K in int32:
  // cols is at most kMaxRowCodes. y = fma(float(sum of carries), 128, float(sum of codes)) * scale of the weight row *
  // scale of the activations, in this order. A weight row with an infinity or a NaN packs to a scale of NaN: each of
  // its values unpacks to NaN, with any `cols`.
  MatMul int8;

  // Floating weights as sums of one, two or three bf16 numbers, packed from FP32 rows, in 2, 4 or 6 bytes each: all
  // that is in BF16, F16 and F32 (parts_of()). Reads Activations::parts, of three numbers. Results are as near the
  // truth as those of matmul[f32], and the same for as many parts as hold a weight or more; fast where the processor
  // multiplies tiles of bf16 (AMX). A part below 2^-50 is left out.
  MatMul bf16x3[FloatParts::kParts];
  // The same with two parts of each factor at most, so with errors of 2^-16 of a product: half as many of them.
  MatMul bf16x2[2];
  // What multiplies weights of a file's type so.
  const MatMul& bf16x3_of(DType dtype) const { return bf16x3[dtype == DType::bf16 ? 0 : dtype == DType::f16 ? 1 : 2]; }
  const MatMul& bf16x2_of(DType dtype) const { return bf16x2[dtype == DType::bf16 ? 0 : 1]; }

  // Entries index .. index + count - 1, the j-th from the 32 values at x + j * step. Infinities and NaN come out as
  // NaN.
  void (*quantize)(const float* x, int64_t step, int64_t count, const Quantised& out, int64_t index) = nullptr;
  // Row `row` from the n values x[i] * factor[i] (factor null = 1), n <= 64 * out.chunks. A row with an infinity or a
  // NaN comes out as NaN.
  void (*quantize_row)(const float* x, const float* factor, int64_t n, const RowCodes& out, int64_t row) = nullptr;
  // Row `row` from the n values at x, n <= 32 * out.chunks.
  void (*split_row)(const float* x, int64_t n, const FloatParts& out, int64_t row) = nullptr;
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
  KvKernels kv[static_cast<size_t>(KvType::count)];
  const KvKernels& kv_of(KvType type) const { return kv[static_cast<size_t>(type)]; }
};

// Quantising rows is cut into units that may run in any order: a row where rows stand one after another, else a group
// of a tile.
static inline int64_t quantize_units(int64_t rows, const Quantised& out) {
  return out.tiled ? (rows + kTileRows - 1) / kTileRows * out.groups : rows;
}
static inline void quantize_unit(const Kernels& k, const float* x, int64_t ldx, int64_t rows, const Quantised& out,
                                 int64_t unit) {
  if (!out.tiled) return k.quantize(x + unit * ldx, kGroup, out.groups, out, out.index(unit, 0));
  const int64_t row = unit / out.groups * kTileRows, group = unit % out.groups, left = rows - row;
  const int64_t count = left < kTileRows ? left : kTileRows, first = out.index(row, group);
  k.quantize(x + row * ldx + group * kGroup, ldx, count, out, first);
  // Tile kernels compute rows that fill up the tile too. What an earlier use of the memory left there, read as a scale,
  // is often denormal, and arithmetic with denormals is many times slower.
  for (int64_t i = first + count; i < first + kTileRows; ++i)
    out.scale[i] = out.dsum[i] = out.dsum16[0][i] = out.dsum16[1][i] = 0;
}

int64_t attention_scratch(KvType kv, int64_t head_dim, int64_t group);

}  // namespace miao::kernels
