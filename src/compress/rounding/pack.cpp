#include "compress/rounding/pack.h"

#include <cstring>

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

namespace miao::compress {

namespace {

template <class Block>
void store(const Block& block, std::byte* dst) {
  std::memcpy(dst, &block, sizeof(block));
}

// qs[j] = low four bits of codes j (low nibble) and j + half (high nibble), after `bias` is added.
void nibbles(const int8_t* codes, int half, int bias, uint8_t* qs) {
  for (int j = 0; j < half; ++j) {
    qs[j] = static_cast<uint8_t>(((codes[j] + bias) & 15) | ((codes[j + half] + bias) & 15) << 4);
  }
}

// Bit j of qh = the fifth bit of code j.
void fifth_bits(const int8_t* codes, int bias, uint8_t qh[4]) {
  uint32_t bits = 0;
  for (int j = 0; j < 32; ++j) bits |= static_cast<uint32_t>((codes[j] + bias) >> 4 & 1) << j;
  std::memcpy(qh, &bits, 4);
}

// The two low bits of 256 codes: bits 2k, 2k+1 of byte j of half h belong to value 128h + 32k + j (Q2_K, Q3_K).
void pairs(const int8_t* codes, int bias, uint8_t qs[64]) {
  for (int h = 0; h < 2; ++h) {
    for (int j = 0; j < 32; ++j) {
      int byte = 0;
      for (int k = 0; k < 4; ++k) byte |= ((codes[128 * h + 32 * k + j] + bias) & 3) << (2 * k);
      qs[32 * h + j] = static_cast<uint8_t>(byte);
    }
  }
}

// The reverse of scale_min_k4.
void pack_scale_min_k4(const Scales& s, uint8_t out[12]) {
  for (int g = 0; g < 4; ++g) {
    const int high = g + 4;
    out[g] = static_cast<uint8_t>(s.scale_code[g] | s.scale_code[high] >> 4 << 6);
    out[g + 4] = static_cast<uint8_t>(s.min_code[g] | s.min_code[high] >> 4 << 6);
    out[g + 8] = static_cast<uint8_t>((s.scale_code[high] & 15) | (s.min_code[high] & 15) << 4);
  }
}

}  // namespace

void pack_q4_0(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ4_0 b;
  b.d = s.d;
  nibbles(codes, 16, 8, b.qs);
  store(b, dst);
}

void pack_q4_1(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ4_1 b;
  b.d = s.d;
  b.m = s.dmin;
  nibbles(codes, 16, 0, b.qs);
  store(b, dst);
}

void pack_q5_0(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ5_0 b;
  b.d = s.d;
  fifth_bits(codes, 16, b.qh);
  nibbles(codes, 16, 16, b.qs);
  store(b, dst);
}

void pack_q5_1(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ5_1 b;
  b.d = s.d;
  b.m = s.dmin;
  fifth_bits(codes, 0, b.qh);
  nibbles(codes, 16, 0, b.qs);
  store(b, dst);
}

void pack_q8_0(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ8_0 b;
  b.d = s.d;
  std::memcpy(b.qs, codes, 32);
  store(b, dst);
}

void pack_q2_k(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ2_K b;
  for (int g = 0; g < 16; ++g) b.scales[g] = static_cast<uint8_t>(s.scale_code[g] | s.min_code[g] << 4);
  pairs(codes, 0, b.qs);
  b.d = s.d;
  b.dmin = s.dmin;
  store(b, dst);
}

void pack_q3_k(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ3_K b;
  std::memset(b.hmask, 0, sizeof(b.hmask));
  for (int i = 0; i < 256; ++i) b.hmask[i % 32] |= static_cast<uint8_t>(((codes[i] + 4) >> 2 & 1) << (i / 32));
  pairs(codes, 4, b.qs);
  std::memset(b.scales, 0, sizeof(b.scales));
  for (int g = 0; g < 16; ++g) {
    const int code = s.scale_code[g] + 32;
    b.scales[g % 8] |= static_cast<uint8_t>((code & 15) << (4 * (g / 8)));
    b.scales[8 + g % 4] |= static_cast<uint8_t>((code >> 4) << (2 * (g / 4)));
  }
  b.d = s.d;
  store(b, dst);
}

void pack_q4_k(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ4_K b;
  b.d = s.d;
  b.dmin = s.dmin;
  pack_scale_min_k4(s, b.scales);
  for (int p = 0; p < 4; ++p) nibbles(codes + 64 * p, 32, 0, b.qs + 32 * p);
  store(b, dst);
}

void pack_q5_k(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ5_K b;
  b.d = s.d;
  b.dmin = s.dmin;
  pack_scale_min_k4(s, b.scales);
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int i = 0; i < 256; ++i) b.qh[i % 32] |= static_cast<uint8_t>((codes[i] >> 4 & 1) << (i / 32));
  for (int p = 0; p < 4; ++p) nibbles(codes + 64 * p, 32, 0, b.qs + 32 * p);
  store(b, dst);
}

void pack_q6_k(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockQ6_K b;
  for (int h = 0; h < 2; ++h) {
    nibbles(codes + 128 * h, 64, 32, b.ql + 64 * h);
    for (int j = 0; j < 32; ++j) {
      int byte = 0;
      for (int k = 0; k < 4; ++k) byte |= ((codes[128 * h + 32 * k + j] + 32) >> 4) << (2 * k);
      b.qh[32 * h + j] = static_cast<uint8_t>(byte);
    }
  }
  std::memcpy(b.scales, s.scale_code, 16);
  b.d = s.d;
  store(b, dst);
}

void pack_iq4_nl(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockIQ4_NL b;
  b.d = s.d;
  nibbles(codes, 16, 0, b.qs);
  store(b, dst);
}

void pack_iq4_xs(const Scales& s, const int8_t* codes, std::byte* dst) {
  BlockIQ4_XS b;
  b.d = s.d;
  b.scales_h = 0;
  std::memset(b.scales_l, 0, sizeof(b.scales_l));
  for (int g = 0; g < 8; ++g) {
    const int code = s.scale_code[g] + 32;
    b.scales_l[g / 2] |= static_cast<uint8_t>((code & 15) << (4 * (g % 2)));
    b.scales_h |= static_cast<uint16_t>((code >> 4) << (2 * g));
    nibbles(codes + 32 * g, 16, 0, b.qs + 16 * g);
  }
  store(b, dst);
}

void pack_mxfp4(const Scales& s, const int8_t* codes, std::byte* dst) {
  int8_t nibble[32];
  for (int j = 0; j < 32; ++j) nibble[j] = static_cast<int8_t>(codes[j] >= 7 ? codes[j] - 7 : 15 - codes[j]);
  BlockMXFP4 b;
  b.e = static_cast<uint8_t>(s.d);
  nibbles(nibble, 16, 0, b.qs);
  store(b, dst);
}

}  // namespace miao::compress
