// Packed form of the quantised weight formats: 16 output rows side by side, so that a vector lane is an output row.
//
// A block (16 rows x K) is a scale area, padded to 64 bytes, then a code area; both are read front to back:
//   scales   per super block: d f16[16], dmin f16[16]       (K formats only; a super block is 8 groups of 32)
//            per group: f16 d[16] (m[16])  |  e8m0[16]  |  i8 or u8 scale[sub][16] (u8 min[sub][16])
//   codes    per group, k-quad j = 0..7 holds k = 4j .. 4j+3 of the 16 rows: byte 4 * row + (k & 3)
//            nibbles 4 x 64 bytes: low = quad j, high = quad j + 4
//            two-bit plane 2 x 64 bytes: field f of plane p = quad 4 p + f     one-bit plane 64 bytes: bit j = quad j
//            bytes 8 x 64
// A code is unsigned; its value is (code - zero) * scale + min. Codes and scales are bit for bit those of the file.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace miao::kernels {

enum class Codes : uint8_t { nibble, nibble_lut, nibble_bit, nibble_two, two, two_bit, byte };
enum class Scales : uint8_t { f16, f16_min, e8m0, k, k_min };

struct QuantTraits {
  Codes codes;
  Scales scales;
  int zero_shift;  // zero = 1 << zero_shift, or 0 when negative
  int sub;         // scales a group of 32: 1, or 2 (one for each half)
};

// The values of a 4-bit code of IQ4_NL, IQ4_XS and of MXFP4 (doubled), plus 128.
inline constexpr uint8_t kIq4Codes[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
inline constexpr uint8_t kMxfp4Codes[16] = {128, 129, 130, 131, 132, 134, 136, 140,
                                            128, 127, 126, 125, 124, 122, 120, 116};

static constexpr QuantTraits quant_traits(DType d) {
  switch (d) {
    case DType::q4_0:
      return {Codes::nibble, Scales::f16, 3, 1};
    case DType::q4_1:
      return {Codes::nibble, Scales::f16_min, -1, 1};
    case DType::q5_0:
      return {Codes::nibble_bit, Scales::f16, 4, 1};
    case DType::q5_1:
      return {Codes::nibble_bit, Scales::f16_min, -1, 1};
    case DType::q8_0:
      return {Codes::byte, Scales::f16, 7, 1};
    case DType::q2_k:
      return {Codes::two, Scales::k_min, -1, 2};
    case DType::q3_k:
      return {Codes::two_bit, Scales::k, 2, 2};
    case DType::q4_k:
      return {Codes::nibble, Scales::k_min, -1, 1};
    case DType::q5_k:
      return {Codes::nibble_bit, Scales::k_min, -1, 1};
    case DType::q6_k:
      return {Codes::nibble_two, Scales::k, 5, 2};
    case DType::iq4_nl:
      return {Codes::nibble_lut, Scales::f16, 7, 1};
    case DType::iq4_xs:
      return {Codes::nibble_lut, Scales::k, 7, 1};
    default:
      return {Codes::nibble_lut, Scales::e8m0, 7, 1};  // mxfp4
  }
}
static constexpr const uint8_t* code_table(DType d) { return d == DType::mxfp4 ? kMxfp4Codes : kIq4Codes; }

static constexpr bool has_min(Scales s) { return s == Scales::f16_min || s == Scales::k_min; }
static constexpr int super_groups(Scales s) { return s == Scales::k || s == Scales::k_min ? 8 : 1; }
static constexpr int super_bytes(Scales s) { return s == Scales::k ? 32 : s == Scales::k_min ? 64 : 0; }
static constexpr int scale_bytes(Scales s, int sub) {
  switch (s) {
    case Scales::f16:
      return 32;
    case Scales::f16_min:
      return 64;
    case Scales::e8m0:
      return 16;
    case Scales::k:
      return 16 * sub;
    case Scales::k_min:
      return 32 * sub;
  }
  return 0;
}
static constexpr int code_bytes(Codes c) {
  switch (c) {
    case Codes::nibble:
    case Codes::nibble_lut:
      return 256;
    case Codes::nibble_bit:
      return 320;
    case Codes::nibble_two:
      return 384;
    case Codes::two:
      return 128;
    case Codes::two_bit:
      return 192;
    case Codes::byte:
      return 512;
  }
  return 0;
}
static constexpr int64_t scale_area(const QuantTraits& t, int64_t cols) {
  const int64_t groups = cols / 32;
  const int64_t n = groups * scale_bytes(t.scales, t.sub) + groups / super_groups(t.scales) * super_bytes(t.scales);
  return (n + 63) / 64 * 64;
}
static constexpr int64_t packed_block_bytes(const QuantTraits& t, int64_t cols) {
  return scale_area(t, cols) + cols / 32 * code_bytes(t.codes);
}

// The quantised formats, for tables over all of them.
#define MIAO_QUANT_FORMATS(X) \
  X(q4_0) X(q4_1) X(q5_0) X(q5_1) X(q8_0) X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) X(iq4_nl) X(iq4_xs) X(mxfp4)

struct MatMul;
// Sets block_bytes and pack of a quantised format (pack.cpp).
void fill_pack(DType dtype, MatMul& entry);

}  // namespace miao::kernels
