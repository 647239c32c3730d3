// Token ids as users write them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::cli {

// The numbers of "[1, 2, 3]" or "1 2 3", each within 0 .. vocab - 1. Errors (invalid) name what is wrong; an empty list
// is none.
Result<std::vector<int32_t>> parse_ids(std::string_view text, int64_t vocab);

}  // namespace miao::cli
