// DType: element or block formats of tensors, and the table row of each (block length, bytes, GGUF id, scalar decode).
//
// A block format stores `block` consecutive elements of a row in `bytes` bytes; rows are whole blocks. F32 is a block
// of one. The byte layouts are those of ggml; tensor/formats/<name>.h draws each one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace miao {

enum class DType : uint8_t {
  f32,
  f16,
  bf16,
  f64,
  i8,
  i16,
  i32,
  i64,
  u8,
  boolean,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
  count
};

struct Format {
  DType dtype;
  const char* name;  // "Q4_K"
  int block;         // elements a block
  int bytes;         // bytes a block
  int gguf;          // ggml type id, -1 where GGUF has none
  // dst[0..n) = the values of n / block blocks at src, in FP32; n is a multiple of block. Null for formats that are not
  // weights.
  void (*decode)(const void* src, float* dst, int64_t n);
};

const Format& format(DType dtype);
std::optional<DType> dtype_from_gguf(uint32_t id);
std::optional<DType> dtype_from_name(std::string_view name);  // case does not matter
std::span<const Format> all_formats();

// Bytes of a row of n elements; n must be a multiple of the block.
static inline int64_t row_bytes(DType dtype, int64_t n) {
  const Format& f = format(dtype);
  return n / f.block * f.bytes;
}

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);  // round to nearest even
static inline float bf16_to_f32(uint16_t bits) {
  const uint32_t word = uint32_t{bits} << 16;
  float out;
  __builtin_memcpy(&out, &word, 4);
  return out;
}
uint16_t f32_to_bf16(float value);  // round to nearest even; NaN stays NaN

}  // namespace miao
