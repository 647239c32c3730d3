// Formats of keys and values by name.
#include "kernels/kv.h"

#include <algorithm>

namespace miao::kernels {

std::optional<KvType> kv_from_name(std::string_view name) {
  const auto is = [name](std::string_view known) {
    const auto same = [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b; };
    return std::equal(name.begin(), name.end(), known.begin(), known.end(), same);
  };
  for (int i = 0; i < static_cast<int>(KvType::count); ++i) {
    if (is(kKvFormats[i].name)) return static_cast<KvType>(i);
  }
  return is("FP32") ? std::optional(KvType::f32) : std::nullopt;
}

}  // namespace miao::kernels
