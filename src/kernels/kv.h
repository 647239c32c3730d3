// KvType: formats of keys and values, one table row each, and how much memory their pages take.
//
// F32, F16 and BF16 are elements. INT8 and INT4 are codes in groups of 32 values of a head and a position, with a BF16
// scale each, of heads that a Hadamard matrix has rotated (generic/kv_codes.h): about half and a quarter of F16. The
// rotation spreads a large value over its head, so that it does not make the grid of its neighbours coarse (QuaRot,
// arXiv 2404.00456). It is undone where it matters: queries are rotated too, which leaves q . k as it was, and so is
// the weighted sum of the values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/activations.h"

namespace miao::kernels {

enum class KvType : uint8_t { f32, f16, bf16, int8, int4, count };

struct KvFormat {
  const char* name;  // "F16"; flags take it in any case
  int bits;          // of a value
  int group;         // values with a scale in common; 0 = none
};
constexpr KvFormat kKvFormats[] = {
    {"F32", 32, 0}, {"F16", 16, 0}, {"BF16", 16, 0}, {"INT8", 8, kGroup}, {"INT4", 4, kGroup},
};
static_assert(sizeof kKvFormats / sizeof *kKvFormats == static_cast<size_t>(KvType::count));

static inline const KvFormat& kv_format(KvType kv) { return kKvFormats[static_cast<size_t>(kv)]; }
std::optional<KvType> kv_from_name(std::string_view name);  // case does not matter; fp32 is F32

// What a head takes in a page: values are filled up with zeros to whole vectors, or whole groups.
static inline int64_t kv_dim(KvType kv, int64_t head_dim) {
  const int group = kv_format(kv).group;
  return round_up(head_dim, group > 0 ? group : kLanes);
}
// Bytes of one K or V page of one head: four blocks of 16 positions, each with codes first, then scales.
static inline int64_t page_bytes(KvType kv, int64_t head_dim) {
  const KvFormat& f = kv_format(kv);
  const int64_t dim = kv_dim(kv, head_dim), scales = f.group > 0 ? dim / f.group * kLanes * 2 : 0;
  return kPage / kLanes * round_up(kLanes * dim * f.bits / 8 + scales, 64);
}

}  // namespace miao::kernels
