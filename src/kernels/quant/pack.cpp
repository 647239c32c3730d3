// Packing: 16 rows of file blocks to one packed block (quant/layout.h). Portable code, run once a weight at load.
// A reader yields the 32 codes and the scale bytes of one group of one row; the packer interleaves them. Formats whose
// file nibbles already pair quad j with quad j + 4 are moved as 32-bit words.
#include <cstring>

#include "kernels/quant/layout.h"
#include "kernels/table.h"
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

namespace miao::kernels {

namespace {

// What one row contributes to the scale area of one group: up to two f16 words and two scale and min bytes.
struct GroupScales {
  uint16_t d = 0, m = 0;
  uint8_t s[2] = {}, mn[2] = {};
};

template <DType D>
struct Reader;

// Formats with one block a group.
template <class B>
struct SmallBlock {
  static const B& block(const void* row, int64_t g) { return static_cast<const B*>(row)[g]; }
};
template <class B>
struct SuperBlock {
  static const B& block(const void* row, int64_t g) { return static_cast<const B*>(row)[g / 8]; }
};

void nibbles(const uint8_t* qs, uint8_t* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = qs[i] & 15;
    out[i + 16] = qs[i] >> 4;
  }
}
void add_high_bits(const uint8_t qh[4], uint8_t* out) {
  uint32_t bits;
  std::memcpy(&bits, qh, 4);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<uint8_t>(out[i] | (bits >> i & 1) << 4);
}

template <>
struct Reader<DType::q4_0> : SmallBlock<BlockQ4_0> {
  static const uint8_t* words(const BlockQ4_0& b) { return b.qs; }
  static void codes(const BlockQ4_0& b, int, uint8_t* out) { nibbles(b.qs, out); }
  static GroupScales scales(const BlockQ4_0& b, int) { return {.d = b.d}; }
};
template <>
struct Reader<DType::q4_1> : SmallBlock<BlockQ4_1> {
  static const uint8_t* words(const BlockQ4_1& b) { return b.qs; }
  static void codes(const BlockQ4_1& b, int, uint8_t* out) { nibbles(b.qs, out); }
  static GroupScales scales(const BlockQ4_1& b, int) { return {.d = b.d, .m = b.m}; }
};
template <>
struct Reader<DType::q5_0> : SmallBlock<BlockQ5_0> {
  static void codes(const BlockQ5_0& b, int, uint8_t* out) {
    nibbles(b.qs, out);
    add_high_bits(b.qh, out);
  }
  static GroupScales scales(const BlockQ5_0& b, int) { return {.d = b.d}; }
};
template <>
struct Reader<DType::q5_1> : SmallBlock<BlockQ5_1> {
  static void codes(const BlockQ5_1& b, int, uint8_t* out) {
    nibbles(b.qs, out);
    add_high_bits(b.qh, out);
  }
  static GroupScales scales(const BlockQ5_1& b, int) { return {.d = b.d, .m = b.m}; }
};
template <>
struct Reader<DType::q8_0> : SmallBlock<BlockQ8_0> {
  static void codes(const BlockQ8_0& b, int, uint8_t* out) {
    for (int i = 0; i < 32; ++i) out[i] = static_cast<uint8_t>(b.qs[i]) ^ 0x80;
  }
  static GroupScales scales(const BlockQ8_0& b, int) { return {.d = b.d}; }
};
template <>
struct Reader<DType::iq4_nl> : SmallBlock<BlockIQ4_NL> {
  static const uint8_t* words(const BlockIQ4_NL& b) { return b.qs; }
  static void codes(const BlockIQ4_NL& b, int, uint8_t* out) { nibbles(b.qs, out); }
  static GroupScales scales(const BlockIQ4_NL& b, int) { return {.d = b.d}; }
};
template <>
struct Reader<DType::mxfp4> : SmallBlock<BlockMXFP4> {
  static const uint8_t* words(const BlockMXFP4& b) { return b.qs; }
  static void codes(const BlockMXFP4& b, int, uint8_t* out) { nibbles(b.qs, out); }
  static GroupScales scales(const BlockMXFP4& b, int) { return {.s = {b.e, 0}}; }
};
template <>
struct Reader<DType::iq4_xs> : SuperBlock<BlockIQ4_XS> {
  static const uint8_t* words(const BlockIQ4_XS& b, int g) { return b.qs + 16 * g; }
  static void codes(const BlockIQ4_XS& b, int g, uint8_t* out) { nibbles(b.qs + 16 * g, out); }
  static GroupScales scales(const BlockIQ4_XS& b, int g) {
    return {.d = b.d, .s = {static_cast<uint8_t>(scale_iq4_xs(b, g)), 0}};
  }
};
template <class B>
GroupScales scales_k4(const B& b, int g) {
  int scale, min;
  scale_min_k4(b.scales, g, scale, min);
  return {.d = b.d, .m = b.dmin, .s = {static_cast<uint8_t>(scale), 0}, .mn = {static_cast<uint8_t>(min), 0}};
}
template <>
struct Reader<DType::q4_k> : SuperBlock<BlockQ4_K> {
  static void codes(const BlockQ4_K& b, int g, uint8_t* out) {
    const uint8_t* q = b.qs + 32 * (g / 2);
    const int shift = 4 * (g % 2);
    for (int i = 0; i < 32; ++i) out[i] = q[i] >> shift & 15;
  }
  static GroupScales scales(const BlockQ4_K& b, int g) { return scales_k4(b, g); }
};
template <>
struct Reader<DType::q5_k> : SuperBlock<BlockQ5_K> {
  static void codes(const BlockQ5_K& b, int g, uint8_t* out) {
    const uint8_t* q = b.qs + 32 * (g / 2);
    const int shift = 4 * (g % 2);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<uint8_t>((q[i] >> shift & 15) | (b.qh[i] >> g & 1) << 4);
  }
  static GroupScales scales(const BlockQ5_K& b, int g) { return scales_k4(b, g); }
};
template <>
struct Reader<DType::q6_k> : SuperBlock<BlockQ6_K> {
  static void codes(const BlockQ6_K& b, int g, uint8_t* out) {
    const int half = g / 4, part = g % 4;  // 128 values a half, 32 a part
    const uint8_t* low = b.ql + 64 * half + 32 * (part % 2);
    const uint8_t* high = b.qh + 32 * half;
    for (int i = 0; i < 32; ++i) {
      out[i] = static_cast<uint8_t>((low[i] >> (4 * (part / 2)) & 15) | (high[i] >> (2 * part) & 3) << 4);
    }
  }
  static GroupScales scales(const BlockQ6_K& b, int g) {
    return {.d = b.d, .s = {static_cast<uint8_t>(b.scales[2 * g]), static_cast<uint8_t>(b.scales[2 * g + 1])}};
  }
};
template <>
struct Reader<DType::q3_k> : SuperBlock<BlockQ3_K> {
  static void codes(const BlockQ3_K& b, int g, uint8_t* out) {
    const uint8_t* q = b.qs + 32 * (g / 4);
    const int shift = 2 * (g % 4);
    for (int i = 0; i < 32; ++i) out[i] = static_cast<uint8_t>((q[i] >> shift & 3) | (b.hmask[i] >> g & 1) << 2);
  }
  static GroupScales scales(const BlockQ3_K& b, int g) {
    return {.d = b.d,
            .s = {static_cast<uint8_t>(scale_q3_k(b.scales, 2 * g)),
                  static_cast<uint8_t>(scale_q3_k(b.scales, 2 * g + 1))}};
  }
};
template <>
struct Reader<DType::q2_k> : SuperBlock<BlockQ2_K> {
  static void codes(const BlockQ2_K& b, int g, uint8_t* out) {
    const uint8_t* q = b.qs + 32 * (g / 4);
    const int shift = 2 * (g % 4);
    for (int i = 0; i < 32; ++i) out[i] = q[i] >> shift & 3;
  }
  static GroupScales scales(const BlockQ2_K& b, int g) {
    const uint8_t lo = b.scales[2 * g], hi = b.scales[2 * g + 1];
    return {.d = b.d,
            .m = b.dmin,
            .s = {static_cast<uint8_t>(lo & 15), static_cast<uint8_t>(hi & 15)},
            .mn = {static_cast<uint8_t>(lo >> 4), static_cast<uint8_t>(hi >> 4)}};
  }
};

// Spreads the 32 codes of one row into the planes of its group.
template <Codes C>
void place_codes(const uint8_t* c, int row, uint8_t* group) {
  constexpr bool nibble =
      C == Codes::nibble || C == Codes::nibble_lut || C == Codes::nibble_bit || C == Codes::nibble_two;
  if constexpr (C == Codes::byte) {
    for (int j = 0; j < 8; ++j) std::memcpy(group + 64 * j + 4 * row, c + 4 * j, 4);
    return;
  }
  if constexpr (nibble) {
    for (int j = 0; j < 4; ++j) {
      for (int b = 0; b < 4; ++b) {
        group[64 * j + 4 * row + b] = static_cast<uint8_t>((c[4 * j + b] & 15) | (c[16 + 4 * j + b] & 15) << 4);
      }
    }
    group += 256;
  }
  if constexpr (C == Codes::nibble_two || C == Codes::two || C == Codes::two_bit) {
    constexpr int shift = nibble ? 4 : 0;
    for (int p = 0; p < 2; ++p) {
      for (int b = 0; b < 4; ++b) {
        int byte = 0;
        for (int f = 0; f < 4; ++f) byte |= (c[16 * p + 4 * f + b] >> shift & 3) << (2 * f);
        group[64 * p + 4 * row + b] = static_cast<uint8_t>(byte);
      }
    }
    group += 128;
  }
  if constexpr (C == Codes::nibble_bit || C == Codes::two_bit) {
    constexpr int shift = nibble ? 4 : 2;
    for (int b = 0; b < 4; ++b) {
      int byte = 0;
      for (int j = 0; j < 8; ++j) byte |= (c[4 * j + b] >> shift & 1) << j;
      group[4 * row + b] = static_cast<uint8_t>(byte);
    }
  }
}

void put16(uint8_t* base, int lane, uint16_t value) { std::memcpy(base + 2 * lane, &value, 2); }

template <DType D>
void pack(const void* const rows[kLanes], int64_t cols, void* dst) {
  constexpr QuantTraits t = quant_traits(D);
  constexpr int supers = super_groups(t.scales);
  constexpr int group_scale = scale_bytes(t.scales, t.sub);
  const int64_t groups = cols / 32;
  auto* scale_out = static_cast<uint8_t*>(dst);
  uint8_t* code_out = scale_out + scale_area(t, cols);
  std::memset(dst, 0, static_cast<size_t>(packed_block_bytes(t, cols)));
  for (int row = 0; row < kLanes; ++row) {
    if (!rows[row]) continue;
    uint8_t* s = scale_out;
    uint8_t* c = code_out;
    for (int64_t g = 0; g < groups; ++g, c += code_bytes(t.codes)) {
      const auto& block = Reader<D>::block(rows[row], g);
      const int inner = static_cast<int>(g % supers);
      const GroupScales gs = Reader<D>::scales(block, inner);
      if constexpr (supers > 1) {
        if (inner == 0) {
          put16(s, row, gs.d);
          if constexpr (has_min(t.scales)) put16(s + 32, row, gs.m);
          s += super_bytes(t.scales);
        }
        for (int h = 0; h < t.sub; ++h) {
          s[16 * h + row] = gs.s[h];
          if constexpr (has_min(t.scales)) s[16 * (t.sub + h) + row] = gs.mn[h];
        }
      } else if constexpr (t.scales == Scales::e8m0) {
        // 2^102 at most: beyond it the bias of the AVX-512 sums (see kBias) is no float, and no real weight is.
        s[row] = gs.s[0] < 230 ? gs.s[0] : 230;
      } else {
        put16(s, row, gs.d);
        if constexpr (t.scales == Scales::f16_min) put16(s + 32, row, gs.m);
      }
      s += group_scale;
      if constexpr (requires { Reader<D>::words(block); }) {
        const uint8_t* w = Reader<D>::words(block);
        for (int j = 0; j < 4; ++j) std::memcpy(c + 64 * j + 4 * row, w + 4 * j, 4);
      } else if constexpr (requires { Reader<D>::words(block, inner); }) {
        const uint8_t* w = Reader<D>::words(block, inner);
        for (int j = 0; j < 4; ++j) std::memcpy(c + 64 * j + 4 * row, w + 4 * j, 4);
      } else {
        uint8_t codes[32];
        Reader<D>::codes(block, inner, codes);
        place_codes<t.codes>(codes, row, c);
      }
    }
  }
}

template <DType D>
int64_t block_bytes(int64_t cols) {
  return packed_block_bytes(quant_traits(D), cols);
}

}  // namespace

void fill_pack(DType dtype, MatMul& entry) {
  entry.reads = Reads::codes;
#define MIAO_CASE(name)                           \
  case DType::name:                               \
    entry.block_bytes = block_bytes<DType::name>; \
    entry.pack = pack<DType::name>;               \
    break;
  switch (dtype) {
    MIAO_QUANT_FORMATS(MIAO_CASE)
    default:
      break;
  }
#undef MIAO_CASE
}

}  // namespace miao::kernels
