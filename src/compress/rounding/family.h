// What the block formats have in common, one row a format: the specification that the search, the rounding of one
// element and the GPTQ sweep work from. A value of group g is
//
//   scale[g] * level(code) + offset[g]
//
// where level(code) is the code itself or an entry of a table, and
//
//   one level    a group is the block; scale is an F16 number d (MXFP4: a power of two), offset an F16 number or absent
//   two levels   a block has several groups; scale[g] = d * (integer code of the group), offset[g] = -dmin * (integer
//   code)
//
// Codes are signed here (Q4_0: -8..7) and indices where there is a table; pack() knows what the file stores for them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace miao::compress {

inline constexpr int kMaxBlock = 256;
inline constexpr int kMaxGroups = 16;

// The scales of one block, as the file holds them and as the decoder computes with them.
struct Scales {
  uint16_t d = 0, dmin = 0;            // F16; MXFP4: d is the biased exponent; Q4_1, Q5_1: dmin is the offset m
  int8_t scale_code[kMaxGroups] = {};  // two levels only
  uint8_t min_code[kMaxGroups] = {};
  float scale[kMaxGroups] = {};
  float offset[kMaxGroups] = {};
};

// How the file holds the scale of a group.
enum class Stored : uint8_t { f16, power_of_two, codes };  // codes: two levels
// Which weight the squared error of an element has, after llama.cpp; weights.h has the formulas.
enum class Spread : uint8_t { row, block, twice_block, none };  // where sigma^2 of the importance weight comes from

struct Family {
  DType dtype;
  int block, group;     // elements
  int lo, hi;           // codes
  const int8_t* table;  // level of a code, ascending; null: the code
  bool offset;          // values have one
  Stored stored;
  int scale_lo, scale_hi;  // codes of the scales of groups, with two levels
  int min_hi;              // codes of the offsets are 0..min_hi
  Spread spread;
  float largest;  // magnitude that the block can still hold
  void (*pack)(const Scales& scales, const int8_t* codes, std::byte* dst);
};

// Static, since files for one instruction set use them too.
static inline int groups_of(const Family& f) { return f.block / f.group; }
static inline bool two_levels(const Family& f) { return f.stored == Stored::codes; }
static inline float level_of(const Family& f, int code) {
  return f.table ? static_cast<float>(f.table[code]) : static_cast<float>(code);
}

// Null for formats that are not blocks (F32, F16, BF16) or not weights.
const Family* family(DType dtype);

// The code whose value is nearest to x.
int nearest_code(const Family& f, const Scales& scales, int group, float x);
static inline float code_value(const Family& f, const Scales& scales, int group, int code) {
  return scales.scale[group] * level_of(f, code) + scales.offset[group];
}

// Fills scale[] and offset[] from d, dmin and the codes.
void decode_scales(const Family& f, Scales& scales);

// The nearest codes of a whole block.
void nearest_codes(const Family& f, const Scales& scales, const float* x, int8_t* codes);

}  // namespace miao::compress
