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

constexpr int kLanes = 16;     // output rows of a packed weight block; lanes of a vector
constexpr int kGroup = 32;     // activations that share one scale
constexpr int kTileRows = 16;  // activation rows side by side
constexpr int kFewRows = 4;    // up to here rows are quantised one after another
constexpr int kPage = 64;      // keys of one KV page and of one attention tile
constexpr int kChunk = 64;     // codes of a row side by side in RowCodes

// Sums of more products of two codes would leave int32.
constexpr int64_t kMaxRowCodes = 131072;

static inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Of packed weights, the same on every ISA. Files on disk carry it (models/pack_cache.h): a change of what pack() or
// Linear::pack() writes, block_bytes() says, or a format decodes to raises it. packed_layout_test.cpp tells of most.
constexpr int kPackedLayout = 2;

// Quantised activations: 32 values of row r are entry index(r, g) of every array, x ~ scale * q with q in [-127, 127].
// Few rows stand one after another. Many rows stand in tiles of 16, in a tile group by group and there side by side, so
// that products read a tile front to back.
struct Quantised {
  int8_t* q = nullptr;                    // (entries, 32)
  float* scale = nullptr;                 // max |x| / 127
  float* dsum = nullptr;                  // scale * sum of the codes
  int32_t* nsum = nullptr;                // minus the sum of the codes
  float* dsum16[2] = {nullptr, nullptr};  // the same of each half
  int32_t* nsum16[2] = {nullptr, nullptr};
  int64_t groups = 0;  // of a row
  bool tiled = false;

  int64_t row_step() const { return tiled ? 1 : groups; }  // within a tile
  int64_t group_step() const { return tiled ? kTileRows : 1; }
  int64_t index(int64_t row, int64_t group) const {
    return tiled ? (row / kTileRows * groups + group) * kTileRows + row % kTileRows : row * groups + group;
  }

  static int64_t entries(int64_t rows, int64_t cols) {
    return (rows > kFewRows ? round_up(rows, kTileRows) : rows) * (cols / kGroup);
  }
  static int64_t bytes(int64_t rows, int64_t cols) {
    return entries(rows, cols) * kGroup + 7 * round_up(entries(rows, cols) * 4, 64);
  }
  // Arrays for `rows` rows in memory of bytes(rows, cols), 64-byte aligned.
  static Quantised at(void* memory, int64_t rows, int64_t cols) {
    Quantised out;
    out.groups = cols / kGroup;
    out.tiled = rows > kFewRows;
    const int64_t n = entries(rows, cols), step = round_up(n * 4, 64);
    auto* p = static_cast<int8_t*>(memory) + n * kGroup;
    out.q = static_cast<int8_t*>(memory);
    out.scale = reinterpret_cast<float*>(p);
    out.dsum = reinterpret_cast<float*>(p + step);
    out.nsum = reinterpret_cast<int32_t*>(p + 2 * step);
    for (int h = 0; h < 2; ++h) {
      out.dsum16[h] = reinterpret_cast<float*>(p + (3 + h) * step);
      out.nsum16[h] = reinterpret_cast<int32_t*>(p + (5 + h) * step);
    }
    return out;
  }
};

// Activations quantised by whole rows: x ~ scale * c, where c = (q - 128) + 128 * carry. Most values fit the byte q and
// have no carry; the few that stand far out of a row, which would else make its scale coarse, do. Bytes are unsigned
// because VNNI's first factor is. Rows stand in tiles of 16 (fewer, where there are fewer), in a tile chunk by chunk
// and there side by side: a tile of 16 rows x 64 codes is what the tile unit of AMX loads. Chunks are filled up with
// 128.
//
// A product of integers is exact however it is cut, so carries cost no bit, only the few products that they take.
struct RowCarry {
  int32_t quad;      // columns 4 * quad ..
  uint8_t digit[4];  // magnitudes of their carries, at most 127
};
struct RowCarries {
  const RowCarry* list;
  int32_t plus, minus;  // entries list[0 .. plus) count positive, list[room - minus .. room) negative
  const RowCarry* end;  // list + room
  bool any() const { return plus + minus > 0; }
};
struct RowCodes {
  uint8_t* q = nullptr;
  float* scale = nullptr;     // (rows)
  int32_t* count = nullptr;   // (rows, 2): how many entries of carries are positive, how many negative
  RowCarry* carry = nullptr;  // (rows, room)
  int64_t chunks = 0;         // of a row
  int64_t height = 0;         // rows of a tile
  int64_t room = 0;

  int64_t chunk_step() const { return height * kChunk; }
  int64_t offset(int64_t row) const { return row / height * chunks * chunk_step() + row % height * kChunk; }
  RowCarries carries(int64_t row) const {
    const RowCarry* const list = carry + row * room;
    return {list, count[2 * row], count[2 * row + 1], list + room};
  }

  static int64_t code_bytes(int64_t rows, int64_t cols) {
    return (rows > kTileRows ? round_up(rows, kTileRows) : rows) * round_up(cols, kChunk);
  }
  static int64_t room_of(int64_t cols) { return 8 + cols / 32; }
  static int64_t bytes(int64_t rows, int64_t cols) {
    return code_bytes(rows, cols) + round_up(rows * (12 + room_of(cols) * static_cast<int64_t>(sizeof(RowCarry))), 64);
  }
  // Arrays for `rows` rows in memory of bytes(rows, cols), 64-byte aligned.
  static RowCodes at(void* memory, int64_t rows, int64_t cols) {
    auto* const q = static_cast<uint8_t*>(memory);
    auto* const carry = reinterpret_cast<RowCarry*>(q + code_bytes(rows, cols));
    auto* const scale = reinterpret_cast<float*>(carry + rows * room_of(cols));
    return {q,
            scale,
            reinterpret_cast<int32_t*>(scale + rows),
            carry,
            (cols + kChunk - 1) / kChunk,
            rows < kTileRows ? rows : kTileRows,
            room_of(cols)};
  }
};

// Which of its three forms a kernel reads.
enum class Reads : uint8_t { values, codes, row_codes };

// Activations of `rows` tokens. Rows that fill up the last tile must be
// readable; what they hold does not matter to the result (but to the speed: see quantize_unit).
struct Activations {
  const float* x = nullptr;  // (rows, cols), row stride ldx
  int64_t ldx = 0;
  Quantised codes;
  int64_t rows = 0;
  RowCodes row_codes;
};

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
  void* scratch = nullptr;  // attention_scratch(head_dim, group) bytes, private to the thread, 64-byte aligned
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

  // Entries index .. index + count - 1, the j-th from the 32 values at x + j * step. Infinities and NaN come out as
  // NaN.
  void (*quantize)(const float* x, int64_t step, int64_t count, const Quantised& out, int64_t index) = nullptr;
  // Row `row` from the n values x[i] * factor[i] (factor null = 1), n <= 64 * out.chunks. A row with an infinity or a
  // NaN comes out as NaN.
  void (*quantize_row)(const float* x, const float* factor, int64_t n, const RowCodes& out, int64_t row) = nullptr;
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

static inline int kv_index(DType kv) { return kv == DType::f32 ? 0 : kv == DType::f16 ? 1 : 2; }
// Bytes of one K or V page of one head.
static inline int64_t page_bytes(DType kv, int64_t head_dim) {
  return kPage * round_up(head_dim, kLanes) * (kv == DType::f32 ? 4 : 2);
}
int64_t attention_scratch(int64_t head_dim, int64_t group);

}  // namespace miao::kernels
