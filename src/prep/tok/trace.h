// Text that knows where it came from. Normalizers and some pre-tokenizers rewrite what is tokenized; where the ranges
// of tokens are wanted, each byte that they write carries the range of the original text that it stands for. Otherwise
// there are no ranges, and nothing is spent on them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "prep/tokenizer.h"

namespace miao::prep {

// A stretch of text to read.
struct Source {
  std::string_view text;
  const ByteRange* from = nullptr;  // of each byte of `text`; nullptr: not wanted

  Source part(std::string_view s) const { return {s, from ? from + (s.data() - text.data()) : nullptr}; }
  // What `s`, a part of `text` that is not empty, stands for. Only where ranges are wanted.
  ByteRange range(std::string_view s) const {
    const ByteRange* first = from + (s.data() - text.data());
    return {first->begin, first[s.size() - 1].end};
  }
};

// Text that is written.
struct Text {
  std::string bytes;
  std::vector<ByteRange> from;

  Source view() const { return {bytes, from.empty() ? nullptr : from.data()}; }
  void clear() {
    bytes.clear();
    from.clear();
  }
  void resize(size_t size) {
    bytes.resize(size);
    if (from.size() > size) from.resize(size);
  }
  // Whatever `bytes` gained since the last call stands for `part` of `source`.
  void mark(const Source& source, std::string_view part) {
    if (source.from && bytes.size() > from.size()) from.resize(bytes.size(), source.range(part));
  }
  void put(std::string_view written, const Source& source, std::string_view part) {
    bytes += written;
    mark(source, part);
  }
  void copy(const Source& source, std::string_view part) {
    bytes += part;
    if (source.from) {
      const ByteRange* first = source.part(part).from;
      from.insert(from.end(), first, first + part.size());
    }
  }
};

}  // namespace miao::prep
