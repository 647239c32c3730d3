// One packed group to plain codes and FP32 scales: the body shared by all ISAs, included inside the namespace of each
// (which compiles it with its own flags, so that the loops become its vector code). The ISA provides
//   void widen_f16(const uint8_t* src, float* dst)            16 halves to 16 floats
//   void look_up(const uint8_t table[16], uint8_t codes[64])   codes[i] = table[codes[i]]

// out: 8 quads x 64 bytes; unsigned codes, or values minus zero when kSigned.
template <DType D, bool kSigned>
static inline void unpack_codes(const uint8_t* __restrict group, uint8_t* __restrict out) {
  constexpr QuantTraits t = quant_traits(D);
  constexpr Codes c = t.codes;
  constexpr bool nibble =
      c == Codes::nibble || c == Codes::nibble_lut || c == Codes::nibble_bit || c == Codes::nibble_two;
  constexpr uint8_t zero = kSigned && t.zero_shift >= 0 ? uint8_t(1u << (t.zero_shift < 0 ? 0 : t.zero_shift)) : 0;
  if constexpr (c == Codes::byte) {
    for (int i = 0; i < 512; ++i) out[i] = uint8_t(group[i] - zero);
    return;
  }
  const uint8_t* two = group + (nibble ? 256 : 0);
  const uint8_t* bit = two + (c == Codes::two_bit ? 128 : 0);
  for (int j = 0; j < 8; ++j) {
    const uint8_t* n = group + 64 * (j & 3);
    const uint8_t* p = two + 64 * (j >> 2);
    const int nibble_shift = j < 4 ? 0 : 4, two_shift = 2 * (j & 3);
    for (int i = 0; i < 64; ++i) {
      uint8_t v = 0;
      if constexpr (nibble) v = uint8_t((n[i] >> nibble_shift) & 15);
      if constexpr (c == Codes::nibble_two) v = uint8_t(v | ((p[i] >> two_shift) & 3) << 4);
      if constexpr (c == Codes::two || c == Codes::two_bit) v = uint8_t((p[i] >> two_shift) & 3);
      if constexpr (c == Codes::nibble_bit) v = uint8_t(v | ((bit[i] >> j) & 1) << 4);
      if constexpr (c == Codes::two_bit) v = uint8_t(v | ((bit[i] >> j) & 1) << 2);
      out[64 * j + i] = c == Codes::nibble_lut ? v : uint8_t(v - zero);
    }
    if constexpr (c == Codes::nibble_lut) {
      look_up(code_table(D), out + 64 * j);
      for (int i = 0; i < 64; ++i) out[64 * j + i] = uint8_t(out[64 * j + i] - zero);
    }
  }
}

// Walks the scale area of a block group by group.
template <DType D>
struct ScaleCursor {
  static constexpr QuantTraits t = quant_traits(D);
  static constexpr int kSub = t.sub;
  static constexpr bool kMin = has_min(t.scales);

  const uint8_t* p;
  int inner = 0;
  alignas(64) float d[16], dmin[16];

  explicit ScaleCursor(const uint8_t* area) : p(area) {}

  // scale, min: kSub x 16 floats of the next group (min only when kMin).
  void next(float* __restrict scale, float* __restrict min) {
    if constexpr (t.scales == Scales::f16 || t.scales == Scales::f16_min) {
      widen_f16(p, scale);
      if constexpr (kMin) widen_f16(p + 32, min);
    } else if constexpr (t.scales == Scales::e8m0) {
      for (int i = 0; i < 16; ++i) {
        const uint32_t e = p[i];
        const uint32_t bits = e < 2 ? 0x00200000u << e : (e - 1) << 23;
        __builtin_memcpy(scale + i, &bits, 4);
      }
    } else {
      if (inner == 0) {
        widen_f16(p, d);
        if constexpr (kMin) widen_f16(p + 32, dmin);
        p += super_bytes(t.scales);
      }
      inner = (inner + 1) & 7;
      for (int h = 0; h < kSub; ++h) {
        for (int i = 0; i < 16; ++i) {
          const int s = kMin ? int(p[16 * h + i]) : int(int8_t(p[16 * h + i]));
          scale[16 * h + i] = d[i] * float(s);
          if constexpr (kMin) min[16 * h + i] = -(dmin[i] * float(p[16 * (kSub + h) + i]));
        }
      }
    }
    p += scale_bytes(t.scales, t.sub);
  }
};
