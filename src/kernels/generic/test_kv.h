// Keys, values and queries of a head as pages hold them, written plainly: what tests compare kernels with.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/generic/kv_codes.h"
#include "kernels/generic/test_support.h"

namespace miao::kernels {

// Blocks of `block` values times the Hadamard matrix, in the order of the kernels.
inline void hadamard(std::span<float> x, int block) {
  const float factor = 1.0f / std::sqrt(static_cast<float>(block));
  for (float& value : x) value *= factor;
  for (size_t h = 1; h < static_cast<size_t>(block); h *= 2) {
    for (size_t i = 0; i < x.size(); ++i) {
      if (i & h) continue;
      const float a = x[i], b = x[i | h];
      x[i] = a + b;
      x[i | h] = a - b;
    }
  }
}

// Values rounded to a grid of their own, code by code.
struct Rounded {
  float scale = 0;
  std::vector<int> codes;
};
// `bits` 8 or 4; `query` scales are no BF16 numbers.
inline Rounded rounded(std::span<const float> x, int bits, bool query) {
  float top = 0, at = 0;
  for (float value : x) {
    if (std::fabs(value) > top || (std::fabs(value) == top && value > 0)) at = value;
    top = std::max(top, std::fabs(value));
  }
  Rounded out;
  out.codes.assign(x.size(), 0);
  if (top < 0x1p-100f) return out;
  const float wanted = bits == 8 ? top / 127.0f : at / -8.0f;
  out.scale = query ? wanted : bf16_to_f32(f32_to_bf16(wanted));
  const float inverse = query ? 127.0f / top : 1.0f / out.scale;
  for (size_t i = 0; i < x.size(); ++i) {
    const float code = std::clamp(x[i] * inverse, bits == 8 ? -127.0f : -8.0f, bits == 8 ? 127.0f : 7.0f);
    out.codes[i] = static_cast<int>(std::nearbyint(code));
  }
  return out;
}

// A head of `row` with what rounding by groups has left of it.
inline std::vector<double> through_codes(std::span<const float> row, int bits, bool query) {
  const int block = kv_rotation(static_cast<int64_t>(row.size()));
  std::vector<float> x(row.begin(), row.end());
  hadamard(x, block);
  for (size_t first = 0; first < x.size(); first += kGroup) {
    const std::span<float> group = std::span(x).subspan(first, std::min<size_t>(kGroup, x.size() - first));
    const Rounded r = rounded(group, bits, query);
    for (size_t i = 0; i < group.size(); ++i) group[i] = r.scale * static_cast<float>(r.codes[i]);
  }
  hadamard(x, block);
  return {x.begin(), x.end()};
}

// A key or value as a page of that format gives it back, and a query as products with it see it.
inline std::vector<double> stored_row(KvType kv, std::span<const float> row) {
  if (kv_format(kv).group > 0) return through_codes(row, kv_format(kv).bits, false);
  std::vector<double> out(row.begin(), row.end());
  for (size_t i = 0; i < row.size(); ++i) {
    if (kv == KvType::f16) out[i] = f16_to_f32(f32_to_f16(row[i]));
    if (kv == KvType::bf16) out[i] = bf16_to_f32(f32_to_bf16(row[i]));
  }
  return out;
}
inline std::vector<double> query_row(KvType kv, std::span<const float> row) {
  return kv_format(kv).group > 0 ? through_codes(row, 8, true) : std::vector<double>(row.begin(), row.end());
}

}  // namespace miao::kernels
