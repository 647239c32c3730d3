// The format table, decoders against golden vectors, and the F16 and BF16 conversions over their whole range.
#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/tensor.h"

namespace miao {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

TEST(Formats, NamesAndIdsLeadBack) {
  EXPECT_EQ(all_formats().size(), static_cast<size_t>(DType::count));
  for (const Format& f : all_formats()) {
    EXPECT_EQ(&format(f.dtype), &f);
    EXPECT_EQ(dtype_from_name(f.name), f.dtype);
    EXPECT_EQ(dtype_from_name(lower(f.name)), f.dtype);
    if (f.gguf >= 0) EXPECT_EQ(dtype_from_gguf(static_cast<uint32_t>(f.gguf)), f.dtype) << f.name;
    EXPECT_EQ(row_bytes(f.dtype, 3 * f.block), 3 * f.bytes);
  }
  EXPECT_EQ(dtype_from_gguf(4), std::nullopt);
  EXPECT_EQ(dtype_from_gguf(0xffffffffu), std::nullopt);
  EXPECT_EQ(dtype_from_name("Q4"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

// tests/golden/formats/<name>.bin: blocks, then their values in FP32.
TEST(Formats, DecodeEqualsGoldenBitForBit) {
  int checked = 0;
  for (const Format& f : all_formats()) {
    if (!f.decode || f.dtype == DType::f32) continue;
    SCOPED_TRACE(f.name);
    const std::string path = std::string(MIAO_SOURCE_DIR) + "/tests/golden/formats/" + lower(f.name) + ".bin";
    auto file = read_file(path, 1 << 20);
    ASSERT_TRUE(file.ok()) << file.error().str();
    const size_t unit = static_cast<size_t>(f.bytes) + 4 * static_cast<size_t>(f.block);
    ASSERT_EQ(file->size() % unit, 0u);
    const size_t blocks = file->size() / unit, values = blocks * static_cast<size_t>(f.block);
    std::vector<float> want(values), got(values, -1.0f);
    std::memcpy(want.data(), file->data() + blocks * static_cast<size_t>(f.bytes), 4 * values);
    for (size_t misalign : {0, 1}) {  // views into a file may be unaligned
      std::vector<char> raw(blocks * static_cast<size_t>(f.bytes) + misalign);
      std::memcpy(raw.data() + misalign, file->data(), raw.size() - misalign);
      f.decode(raw.data() + misalign, got.data(), static_cast<int64_t>(values));
      for (size_t i = 0; i < values; ++i) {
        if (std::isnan(want[i]) && std::isnan(got[i])) continue;
        ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i])) << "value " << i;
      }
    }
    ++checked;
  }
  EXPECT_EQ(checked, 15);
}

TEST(Formats, DecodeWritesWholeBlocksOnly) {
  for (const Format& f : all_formats()) {
    if (!f.decode) continue;
    std::vector<unsigned char> raw(2 * static_cast<size_t>(f.bytes), 0);
    std::vector<float> out(2 * static_cast<size_t>(f.block) + 1, 7.0f);
    f.decode(raw.data(), out.data(), 0);
    EXPECT_EQ(out[0], 7.0f) << f.name;
    f.decode(raw.data(), out.data(), f.block);
    EXPECT_NE(out[static_cast<size_t>(f.block) - 1], 7.0f) << f.name;
    EXPECT_EQ(out[static_cast<size_t>(f.block)], 7.0f) << f.name;
  }
}

double f16_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double magnitude = exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

TEST(F16, EveryCodeDecodesExactlyAndLeadsBack) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const auto bits = static_cast<uint16_t>(code);
    const float value = f16_to_f32(bits);
    if ((bits & 0x7c00) == 0x7c00) {
      if (bits & 0x3ff) {
        ASSERT_TRUE(std::isnan(value));
        ASSERT_EQ(f32_to_f16(value), bits | 0x200) << code;  // quiet, payload and sign kept
      } else {
        ASSERT_EQ(value, bits & 0x8000 ? -INFINITY : INFINITY);
        ASSERT_EQ(f32_to_f16(value), bits);
      }
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), f16_value(bits)) << code;
    ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0);
    ASSERT_EQ(f32_to_f16(value), bits) << code;
  }
}

TEST(F16, RoundsToNearestEven) {
  for (uint32_t code = 0; code < 0x7bff; ++code) {
    const auto low = static_cast<uint16_t>(code), high = static_cast<uint16_t>(code + 1);
    const float middle = static_cast<float>((f16_value(low) + f16_value(high)) / 2);  // exact: two more bits at most
    ASSERT_EQ(f32_to_f16(middle), code & 1 ? high : low) << code;
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), low) << code;
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, INFINITY)), high) << code;
    ASSERT_EQ(f32_to_f16(-middle), (code & 1 ? high : low) | 0x8000) << code;
  }
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(1e30f), 0x7c00);
  EXPECT_EQ(f32_to_f16(1e-30f), 0);
  EXPECT_EQ(f32_to_f16(-1e-30f), 0x8000);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(Bf16, EveryCodeLeadsBackAndRoundsToNearestEven) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const auto bits = static_cast<uint16_t>(code);
    const float value = bf16_to_f32(bits);
    ASSERT_EQ(std::bit_cast<uint32_t>(value), code << 16);
    ASSERT_EQ(f32_to_bf16(value), std::isnan(value) ? bits | 0x40 : bits) << code;
    if ((code & 0x7fff) >= 0x7f80) continue;
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(code << 16 | 0x7fff)), bits);
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(code << 16 | 0x8000)), code & 1 ? bits + 1 : bits);
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(code << 16 | 0x8001)), bits + 1);
  }
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0xffffffffu)))));
}

TEST(TensorView, RowsAndColumns) {
  const std::vector<std::byte> data(4 * 34);
  TensorView t{.name = "w", .dtype = DType::q8_0, .shape = {2, 64}, .data = data.data(), .bytes = data.size()};
  EXPECT_EQ(t.elements(), 128);
  EXPECT_EQ(t.cols(), 64);
  EXPECT_EQ(t.rows(), 2);
  EXPECT_EQ(t.row(1) - t.row(0), 68);
  EXPECT_EQ((TensorView{.shape = {}}).rows(), 1);
  EXPECT_EQ((TensorView{.shape = {3, 0}}).rows(), 0);
}

}  // namespace
}  // namespace miao
