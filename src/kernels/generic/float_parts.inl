// Products of FP32 numbers by parts: each is written as the sum of three bf16 numbers, large + middle + small, each
// rounded to 8 bits of what the ones before left (Henry, Tang, Heinecke, "Leveraging the bfloat16 Artificial
// Intelligence Datatype For Higher-Precision Computations", 2019). Of the nine products of two such sums six are made;
// the others are smaller than the last bit of FP32.
//
// Weights that fewer parts hold have fewer, and fewer products, with the same result.
//
// Packed block: [cols / 32][small, middle, large][16 pairs of k][16 outputs][2], as the tile unit of AMX reads it,
// whose sums these are bit for bit: of one tile of 32 k, those of even and of odd k are each a chain of fused
// operations, and enter the sum together; one tile after the other in the order of kProducts. Parts below kTiny are
// left out: so no product or sum is subnormal, which the tile unit would make 0.

#include "kernels/generic/parts.h"
#include "kernels/quant/parts_layout.h"

namespace miao::kernels::MIAO_ISA {
namespace {

constexpr uint32_t kTiny = (127 - 50) << 23;  // the bits of 2^-50

// 16 numbers to one word of each of N parts, large first.
template <int N>
inline void split(const float x[16], uint16_t* to, int64_t part_step, int64_t step) {
  float rest[16];
  __builtin_memcpy(rest, x, sizeof rest);
  for (int p = 0; p < N; ++p) {
    uint16_t part[16];
    for (int i = 0; i < 16; ++i) {
      uint32_t bits;
      __builtin_memcpy(&bits, &rest[i], 4);
      bits = (bits + 0x8000) & 0xFFFF0000;  // ties away from zero
      float value;
      __builtin_memcpy(&value, &bits, 4);
      rest[i] -= value;
      part[i] = static_cast<uint16_t>((bits & 0x7FFFFFFF) < kTiny ? 0 : bits >> 16);
    }
    uint16_t* const out = to + p * part_step;
    if (step == 1) {
      __builtin_memcpy(out, part, sizeof part);
    } else {
      for (int i = 0; i < 16; ++i) out[i / 2 * step + i % 2] = part[i];
    }
  }
}

// Up to 16 values, zeros behind them.
inline void load_some(const char* from, int64_t n, float to[16]) {
  for (int i = 0; i < 16; ++i) to[i] = 0;
  if (from != nullptr && n > 0) __builtin_memcpy(to, from, static_cast<size_t>(n < 16 ? n : 16) * sizeof(float));
}

void split_row(const float* x, int64_t n, const FloatParts& out, int64_t row) {
  uint16_t* to = out.p + out.offset(row);
  for (int64_t k = 0; k < out.chunks * kPartDepth; k += kPartDepth, to += out.chunk_step()) {
    for (int64_t h = 0; h < kPartDepth; h += 16) {
      if (k + h + 16 <= n) {
        split<kParts>(x + k + h, to + h, out.part_step(), 1);
      } else {
        float some[16];
        load_some(reinterpret_cast<const char*>(x + k + h), n - k - h, some);
        split<kParts>(some, to + h, out.part_step(), 1);
      }
    }
  }
}

template <int W>
void pack_parts(const void* const rows[kLanes], int64_t cols, void* dst) {
  auto* const out = static_cast<uint16_t*>(dst);
  for (int r = 0; r < kLanes; ++r) {
    const auto* const row = static_cast<const char*>(rows[r]);  // of any alignment
    for (int64_t k = 0; k < part_chunks(cols) * kPartDepth; k += 16) {
      float some[16];
      load_some(row == nullptr ? nullptr : row + k * 4, cols - k, some);
      uint16_t* const large = out + k / kPartDepth * kPartStep<W> + part_offset<W>(0) + k % kPartDepth * 16 + 2 * r;
      split<W>(some, large, -kPartTile, 32);
    }
  }
}

float part_value(uint16_t part) {
  const uint32_t bits = static_cast<uint32_t>(part) << 16;
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

template <int W>
void unpack_parts(const void* block, int64_t cols, int lane, float* row) {
  const auto* const from = static_cast<const uint16_t*>(block) + 2 * lane;
  for (int64_t k = 0; k < cols; ++k) {
    const uint16_t* const at = from + k / kPartDepth * kPartStep<W> + k % kPartDepth / 2 * 32 + k % 2;
    row[k] = 0;
    for (int p = W - 1; p >= 0; --p) row[k] += part_value(at[part_offset<W>(p)]);
  }
}

// One tile of K: y += products of a row and a block, whose parts are widened: [part][even, odd][16 pairs][16 outputs].
template <int W, int S>
inline void add_tile(const uint16_t* x, int64_t part_step, const float* w, float* y) {
  constexpr int kCount = sizeof kProducts / sizeof *kProducts;
  Vec even[kCount], odd[kCount];
  MIAO_UNROLL for (int i = 0; i < kCount; ++i) even[i] = odd[i] = set1(0);
  for (int pair = 0; pair < 16; ++pair) {
    Vec xs[kParts][2], ws[W][2];
    MIAO_UNROLL for (int half = 0; half < 2; ++half) {
      MIAO_UNROLL for (int p = 0; p <= S; ++p) xs[p][half] = set1(part_value(x[p * part_step + 2 * pair + half]));
      MIAO_UNROLL for (int p = 0; p < W; ++p) ws[p][half] = load(w + ((p * 2 + half) * 16 + pair) * 16);
    }
    MIAO_UNROLL for (int i = 0; i < kCount; ++i) {
      if (!is_made<W, S>(kProducts[i])) continue;
      even[i] = fma(xs[kProducts[i].x][0], ws[kProducts[i].w][0], even[i]);
      odd[i] = fma(xs[kProducts[i].x][1], ws[kProducts[i].w][1], odd[i]);
    }
  }
  Vec sum = load(y);
  MIAO_UNROLL for (int i = 0; i < kCount; ++i) sum = sum + (even[i] + odd[i]);
  store(y, sum);
}

template <int W, int S>
void run_parts_add(const void* packed, int64_t cols, int64_t blocks, const Activations& in, const Addend& add, float* y,
                   int64_t ldy, void*) {
  const int64_t chunks = part_chunks(cols);
  const auto* w = static_cast<const uint16_t*>(packed);
  for (int64_t b = 0; b < blocks; ++b, y += kLanes) {
    for (int64_t t = 0; !add.y && t < in.rows; ++t) store(y + t * ldy, set1(0));
    for (int64_t c = 0; c < chunks; ++c, w += kPartStep<W>) {
      alignas(64) float wide[W * kPartTile];
      for (int p = 0; p < W; ++p) {
        const uint16_t* const from = w + part_offset<W>(p);
        float* const to = wide + p * kPartTile;
        for (int i = 0; i < kPartTile / 2; ++i) {
          to[i] = part_value(from[2 * i]);
          to[kPartTile / 2 + i] = part_value(from[2 * i + 1]);
        }
      }
      for (int64_t t = 0; t < in.rows; ++t)
        add_tile<W, S>(in.parts.p + in.parts.offset(t) + c * in.parts.chunk_step(), in.parts.part_step(), wide,
                       y + t * ldy);
    }
    for (int64_t t = 0; add.bias && t < in.rows; ++t)
      store(y + t * ldy, load(y + t * ldy) + load(add.bias + b * kLanes));
  }
}

template <int W, int S>
void run_parts(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
               void* scratch) {
  run_parts_add<W, S>(packed, cols, blocks, in, {}, y, ldy, scratch);
}

int64_t parts_scratch(int64_t) { return 0; }

template <int W, int S>
void fill_parts_of(MatMul& m, const char* name) {
  m.gemv = m.gemm = name;
  m.reads = Reads::parts;
  m.block_bytes = part_block_bytes<W>;
  m.pack = pack_parts<W>;
  m.unpack = unpack_parts<W>;
  m.run = run_parts<W, S>;
  m.run_add = run_parts_add<W, S>;
  m.scratch_bytes = parts_scratch;
}

}  // namespace

void fill_parts(Kernels& table) {
  fill_parts_of<1, 2>(table.bf16x3[0], "bf16x3w1." MIAO_ISA_NAME);
  fill_parts_of<2, 2>(table.bf16x3[1], "bf16x3w2." MIAO_ISA_NAME);
  fill_parts_of<3, 2>(table.bf16x3[2], "bf16x3w3." MIAO_ISA_NAME);
  fill_parts_of<1, 1>(table.bf16x2[0], "bf16x2w1." MIAO_ISA_NAME);
  fill_parts_of<2, 1>(table.bf16x2[1], "bf16x2w2." MIAO_ISA_NAME);
  table.split_row = split_row;
}

}  // namespace miao::kernels::MIAO_ISA
