// Long texts in parts that overlap, as Hugging Face's tokenizers cut them (truncation with a stride).
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace miao::runtime {

struct Window {
  size_t begin, size;  // tokens of the text
};

// Windows of at most `room` > 0 tokens; each begins `overlap` tokens before the end of the one before, or at half of it
// where that is later. A text without tokens has one window.
inline std::vector<Window> windows(size_t tokens, size_t room, size_t overlap) {
  std::vector<Window> out;
  const size_t step = room - std::min(overlap, room / 2);
  for (size_t begin = 0;; begin += step) {
    out.push_back({begin, std::min(room, tokens - begin)});
    if (begin + room >= tokens) return out;
  }
}

}  // namespace miao::runtime
