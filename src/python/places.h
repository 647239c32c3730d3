// Places in a text: the engine counts bytes, Python code points.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "prep/tokenizer.h"
#include "python/errors.h"

namespace miao::python {

struct Place {
  size_t begin, end;
  nb::str text;  // from begin to end
};

class Places {
 public:
  explicit Places(std::string_view text);  // UTF-8, which must outlive it

  // A range that begins or ends inside a code point has all of it.
  Place of(prep::ByteRange range) const;

 private:
  bool inside(size_t byte) const { return byte < text_.size() && (text_[byte] & 0xc0) == 0x80; }

  std::string_view text_;
  std::vector<uint32_t> before_;  // code points before each byte, and before the end
};

}  // namespace miao::python
