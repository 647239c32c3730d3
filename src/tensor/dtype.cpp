// The table of formats, one row per DType in its order, and the exact conversions between F32, F16 and BF16.
#include "tensor/dtype.h"

#include <array>
#include <bit>

#include "base/check.h"
#include "tensor/formats/bf16.h"
#include "tensor/formats/f16.h"
#include "tensor/formats/f32.h"
#include "tensor/formats/iq4_nl.h"
#include "tensor/formats/iq4_xs.h"
#include "tensor/formats/mxfp4.h"
#include "tensor/formats/q2_k.h"
#include "tensor/formats/q3_k.h"
#include "tensor/formats/q4_0.h"
#include "tensor/formats/q4_1.h"
#include "tensor/formats/q4_k.h"
#include "tensor/formats/q5_0.h"
#include "tensor/formats/q5_1.h"
#include "tensor/formats/q5_k.h"
#include "tensor/formats/q6_k.h"
#include "tensor/formats/q8_0.h"

namespace miao {

namespace {

constexpr size_t kCount = static_cast<size_t>(DType::count);

constexpr std::array<Format, kCount> kFormats = {{
    {DType::f32, "F32", 1, 4, 0, decode_f32},
    {DType::f16, "F16", 1, 2, 1, decode_f16},
    {DType::bf16, "BF16", 1, 2, 30, decode_bf16},
    {DType::f64, "F64", 1, 8, 28, nullptr},
    {DType::i8, "I8", 1, 1, 24, nullptr},
    {DType::i16, "I16", 1, 2, 25, nullptr},
    {DType::i32, "I32", 1, 4, 26, nullptr},
    {DType::i64, "I64", 1, 8, 27, nullptr},
    {DType::u8, "U8", 1, 1, -1, nullptr},
    {DType::boolean, "BOOL", 1, 1, -1, nullptr},
    {DType::q4_0, "Q4_0", 32, 18, 2, decode_q4_0},
    {DType::q4_1, "Q4_1", 32, 20, 3, decode_q4_1},
    {DType::q5_0, "Q5_0", 32, 22, 6, decode_q5_0},
    {DType::q5_1, "Q5_1", 32, 24, 7, decode_q5_1},
    {DType::q8_0, "Q8_0", 32, 34, 8, decode_q8_0},
    {DType::q2_k, "Q2_K", 256, 84, 10, decode_q2_k},
    {DType::q3_k, "Q3_K", 256, 110, 11, decode_q3_k},
    {DType::q4_k, "Q4_K", 256, 144, 12, decode_q4_k},
    {DType::q5_k, "Q5_K", 256, 176, 13, decode_q5_k},
    {DType::q6_k, "Q6_K", 256, 210, 14, decode_q6_k},
    {DType::iq4_nl, "IQ4_NL", 32, 18, 20, decode_iq4_nl},
    {DType::iq4_xs, "IQ4_XS", 256, 136, 23, decode_iq4_xs},
    {DType::mxfp4, "MXFP4", 32, 17, 39, decode_mxfp4},
}};

constexpr bool rows_in_order() {
  for (size_t i = 0; i < kCount; ++i) {
    if (static_cast<size_t>(kFormats[i].dtype) != i) return false;
  }
  return true;
}
static_assert(rows_in_order());

constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (upper(a[i]) != upper(b[i])) return false;
  }
  return true;
}

}  // namespace

const Format& format(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  MIAO_CHECK(index < kCount);
  return kFormats[index];
}

std::span<const Format> all_formats() { return kFormats; }

std::optional<DType> dtype_from_gguf(uint32_t id) {
  for (const Format& f : kFormats) {
    if (f.gguf >= 0 && static_cast<uint32_t>(f.gguf) == id) return f.dtype;
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Format& f : kFormats) {
    if (same_name(f.name, name)) return f.dtype;
  }
  return std::nullopt;
}

// Integer arithmetic throughout, so that the processor's flush-to-zero mode does not matter. A signalling NaN comes out
// quiet, as the F16C instructions do it.
float f16_to_f32(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = bits >> 10 & 31;
  uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 31) {
    const uint32_t quiet = mantissa ? 0x00400000u : 0;
    return std::bit_cast<float>(sign | 0x7f800000u | quiet | mantissa << 13);
  }
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  if (mantissa == 0) return std::bit_cast<float>(sign);
  const int shift = std::countl_zero(mantissa) - 21;  // brings the leading one to bit 10
  mantissa = mantissa << shift & 0x3ffu;
  return std::bit_cast<float>(sign | static_cast<uint32_t>(113 - shift) << 23 | mantissa << 13);
}

uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and more round to infinity
  if (magnitude < 0x33000000u) return static_cast<uint16_t>(sign);             // below half of the least subnormal
  // The result is `kept` plus one when the dropped bits exceed half, or equal it with `kept` odd; a carry out of the
  // mantissa moves into the exponent, which is right.
  uint32_t kept, dropped, half;
  if (magnitude >= 0x38800000u) {
    kept = (magnitude >> 13) - (112u << 10);
    dropped = magnitude & 0x1fffu;
    half = 0x1000u;
  } else {
    const uint32_t mantissa = (magnitude & 0x007fffffu) | 0x00800000u;
    const uint32_t shift = 126 - (magnitude >> 23);  // 14..24
    kept = mantissa >> shift;
    dropped = mantissa & ((1u << shift) - 1);
    half = 1u << (shift - 1);
  }
  if (dropped > half || (dropped == half && (kept & 1))) ++kept;
  return static_cast<uint16_t>(sign | kept);
}

uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

}  // namespace miao
