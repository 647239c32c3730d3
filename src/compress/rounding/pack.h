// Scales and codes to the bytes of a block, one function a format: the reverse of tensor/formats/<format>.h, which
// draws the layouts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compress/rounding/family.h"

namespace miao::compress {

void pack_q4_0(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q4_1(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q5_0(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q5_1(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q8_0(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q2_k(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q3_k(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q4_k(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q5_k(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_q6_k(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_iq4_nl(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_iq4_xs(const Scales& scales, const int8_t* codes, std::byte* dst);
void pack_mxfp4(const Scales& scales, const int8_t* codes, std::byte* dst);

// MXFP4's levels in ascending order, of which codes are indices; the file has sign and magnitude.
inline constexpr int8_t kMxfp4Ascending[15] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};

}  // namespace miao::compress
