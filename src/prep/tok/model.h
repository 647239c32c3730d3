// The model of a tokenizer: one word (a stretch that the pre-tokenizer cut) to ids.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prep/tok/trace.h"

namespace miao::prep {

using Ids = std::vector<int32_t>;

// The tokens of a text, as they are found. A piece is a view into `word`.
struct Pieces {
  Ids ids;
  std::vector<ByteRange> ranges;  // of the ids, where they are wanted
  Source word;                    // the one at hand, where ranges are wanted
  bool trim = false;              // ranges are without the spaces at the ends of a piece

  void add(int32_t id, std::string_view piece) {
    ids.push_back(id);
    if (word.from) ranges.push_back(range(piece));
  }
  // The last token stands for `piece` too.
  void extend(std::string_view piece) {
    if (word.from) ranges.back().end = word.range(piece).end;
  }
  void resize(size_t size) {
    ids.resize(size);
    if (word.from) ranges.resize(size);
  }
  void reverse_from(size_t begin) {
    std::reverse(ids.begin() + static_cast<ptrdiff_t>(begin), ids.end());
    if (word.from) std::reverse(ranges.begin() + static_cast<ptrdiff_t>(begin), ranges.end());
  }

 private:
  ByteRange range(std::string_view piece) const {
    const ByteRange whole = word.range(piece);
    if (!trim) return whole;
    while (piece.starts_with(' ')) piece.remove_prefix(1);
    while (piece.ends_with(' ')) piece.remove_suffix(1);
    return piece.empty() ? ByteRange{whole.end, whole.end} : word.range(piece);
  }
};

// What a model is made of, for those who write it to a file.
struct ModelParts {
  std::vector<std::pair<int32_t, int32_t>> merges;  // ids of the two pieces, in the order of their ranks
  std::vector<float> scores;                        // by id; empty: pieces have none
  std::vector<bool> spelled;                        // by id, where there are scores: text may become the piece
  bool byte_fallback = false, ignore_merges = false;
  std::string prefix, suffix;  // of pieces inside a word and at its end
  size_t max_chars = 0;        // of a word; 0 = any
};

class Model {
 public:
  virtual ~Model() = default;
  // Appends the tokens of `word`, which is valid UTF-8 and not empty. Safe to call from many threads.
  virtual void encode(std::string_view word, Pieces& out) const = 0;
  virtual std::string_view kind() const = 0;
  virtual ModelParts parts() const = 0;
};

}  // namespace miao::prep
