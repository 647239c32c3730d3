// The int8 product with one scale a row, scalar: the specification of the arithmetic.
//   sum   = sum over k of code of the weight * (q - 128)     exact
//   carry = sum over k of code of the weight * carry         exact
//   y     = (fma(float(carry), 128, float(sum)) * scale of the weight row) * scale of the activations, + bias, + y
#include "kernels/generic/vec16_scalar.h"
//
#include "kernels/generic/row_codes.inl"
#include "kernels/tables.h"

namespace miao::kernels {
namespace scalar {

static void run_int8_add(const void* packed, int64_t cols, int64_t blocks, const Activations& in, const Addend& add,
                         float* y, int64_t ldy, void*) {
  const RowCodes& a = in.row_codes;
  for (int64_t b = 0; b < blocks; ++b) {
    const Int8Block block(static_cast<const uint8_t*>(packed) + b * int8_block_bytes(cols));
    for (int64_t row = 0; row < in.rows; ++row) {
      int32_t sum[kLanes] = {};
      for (int64_t k = 0; k < cols; ++k) {
        const int q = a.q[a.offset(row) + k / kChunk * a.chunk_step() + k % kChunk] - 128;
        const int8_t* const w = block.codes + k / 4 * 4 * kLanes + k % 4;
        for (int lane = 0; lane < kLanes; ++lane) sum[lane] += w[4 * lane] * q;
      }
      int32_t carry[kLanes] = {};
      const RowCarries carries = a.carries(row);
      const auto count = [&](const RowCarry& c, int32_t sign) {
        for (int i = 0; i < 4 * kLanes; ++i)
          carry[i / 4] += sign * c.digit[i % 4] * block.codes[c.quad * 4 * kLanes + i];
      };
      for (int32_t i = 0; i < carries.plus; ++i) count(carries.list[i], 1);
      for (int32_t i = 1; i <= carries.minus; ++i) count(carries.end[-i], -1);
      float* const out = y + row * ldy + kLanes * b;
      for (int lane = 0; lane < kLanes; ++lane) {
        const float whole = __builtin_fmaf(static_cast<float>(carry[lane]), 128.0f, static_cast<float>(sum[lane]));
        float value = whole * block.scale[lane] * a.scale[row];
        if (add.bias != nullptr) value += add.bias[kLanes * b + lane];
        out[lane] = add.y ? value + out[lane] : value;
      }
    }
  }
}

static void run_int8(const void* packed, int64_t cols, int64_t blocks, const Activations& in, float* y, int64_t ldy,
                     void* scratch) {
  run_int8_add(packed, cols, blocks, in, {}, y, ldy, scratch);
}

}  // namespace scalar

void fill_int8_scalar(Kernels& table) {
  scalar::fill_row_codes(table);
  table.int8.gemv = table.int8.gemm = "int8.scalar";
  table.int8.run = scalar::run_int8;
  table.int8.run_add = scalar::run_int8_add;
}

}  // namespace miao::kernels
