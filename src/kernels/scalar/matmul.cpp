// Products of the quantised formats, scalar: the specification of the arithmetic. For each output row, per group of K
// in order (per half group for formats with two scales):
//   isum = sum of (code - zero) * q          exact
//   acc  = fma(isum * scale, a, acc)     a: scale of the activations; isum * scale is rounded once
//   acc  = fma(min, dsum, acc)                   formats with a min
#include "kernels/quant/layout.h"
#include "kernels/table.h"
#include "kernels/tables.h"

namespace miao::kernels {
namespace scalar {

static inline void widen_f16(const uint8_t* src, float* dst) {
  for (int i = 0; i < 16; ++i) {
    uint16_t bits;
    __builtin_memcpy(&bits, src + 2 * i, 2);
    dst[i] = f16_to_f32(bits);
  }
}

static inline void look_up(const uint8_t table[16], uint8_t codes[64]) {
  for (int i = 0; i < 64; ++i) codes[i] = table[codes[i]];
}

#include "kernels/quant/unpack.inl"

template <DType D>
static void run(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy, void*) {
  constexpr QuantTraits t = quant_traits(D);
  constexpr int sub = t.sub, quads = 8 / t.sub;
  const auto* block = static_cast<const uint8_t*>(packed);
  for (int64_t b = 0; b < blocks; ++b, block += packed_block_bytes(t, cols)) {
    for (int64_t row = 0; row < in.rows; ++row) {
      ScaleCursor<D> scales(block);
      const uint8_t* codes = block + scale_area(t, cols);
      float acc[16] = {};
      for (int64_t g = 0; g < cols / 32; ++g, codes += code_bytes(t.codes)) {
        uint8_t w[512];
        float scale[32], min[32];
        unpack_codes<D, true>(codes, w);
        scales.next(scale, min);
        const int64_t at = in.codes.index(row, g);
        const int8_t* q = in.codes.q + 32 * at;
        const float a = in.codes.scale[at];
        for (int lane = 0; lane < 16; ++lane) {
          for (int h = 0; h < sub; ++h) {
            int32_t isum = 0;
            for (int j = h * quads; j < (h + 1) * quads; ++j) {
              for (int i = 0; i < 4; ++i) isum += int(int8_t(w[64 * j + 4 * lane + i])) * int(q[4 * j + i]);
            }
            acc[lane] = __builtin_fmaf(float(isum) * scale[16 * h + lane], a, acc[lane]);
            if constexpr (has_min(t.scales)) {
              const float* dsum = sub == 1 ? in.codes.dsum : in.codes.dsum16[h];
              acc[lane] = __builtin_fmaf(min[16 * h + lane], dsum[at], acc[lane]);
            }
          }
        }
      }
      for (int lane = 0; lane < 16; ++lane) y[row * ldy + 16 * b + lane] = acc[lane];
    }
  }
}

template <DType D>
static void unpack(const void* block, int64_t cols, int lane, float* row) {
  constexpr QuantTraits t = quant_traits(D);
  ScaleCursor<D> scales(static_cast<const uint8_t*>(block));
  const uint8_t* codes = static_cast<const uint8_t*>(block) + scale_area(t, cols);
  for (int64_t g = 0; g < cols / 32; ++g, codes += code_bytes(t.codes), row += 32) {
    uint8_t w[512];
    float scale[32], min[32];
    unpack_codes<D, true>(codes, w);
    scales.next(scale, min);
    for (int i = 0; i < 32; ++i) {
      const int at = i / (32 / t.sub) * 16 + lane;
      row[i] = float(int8_t(w[64 * (i / 4) + 4 * lane + i % 4])) * scale[at];
      if constexpr (has_min(t.scales)) row[i] += min[at];
    }
  }
}

static int64_t no_scratch(int64_t) { return 0; }

}  // namespace scalar

void fill_matmul_scalar(Kernels& table) {
#define MIAO_FILL(name)                                         \
  {                                                             \
    MatMul& m = table.matmul[static_cast<size_t>(DType::name)]; \
    fill_pack(DType::name, m);                                  \
    m.gemv = m.gemm = #name ".scalar";                          \
    m.run = scalar::run<DType::name>;                           \
    m.unpack = scalar::unpack<DType::name>;                     \
    m.scratch_bytes = scalar::no_scratch;                       \
  }
  MIAO_QUANT_FORMATS(MIAO_FILL)
#undef MIAO_FILL
}

}  // namespace miao::kernels
