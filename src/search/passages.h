// Passages: parts of a text that a model can read at once.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::search {

struct Part {
  size_t begin, end;  // bytes of the text, on borders of characters, without white space at its ends
};

using CountTokens = std::function<Result<int64_t>(std::string_view)>;

// Parts of at most `limit` tokens each that cover the text and begin and end where sentences do; a sentence that is too
// long is split at line breaks, then at spaces, then anywhere. Each repeats the end of the one before it, up to
// `overlap` tokens. A text that fits is one part; blank text has none.
Result<std::vector<Part>> split_text(std::string_view text, int64_t limit, int64_t overlap, const CountTokens& count);

}  // namespace miao::search
