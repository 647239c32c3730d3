#include "python/places.h"

#include "python/convert.h"

namespace miao::python {

Places::Places(std::string_view text) : text_(text), before_(text.size() + 1) {
  for (size_t byte = 0; byte < text.size(); ++byte) before_[byte + 1] = before_[byte] + !inside(byte);
}

Place Places::of(prep::ByteRange range) const {
  size_t begin = range.begin, end = range.end;
  while (inside(begin)) --begin;
  while (inside(end)) ++end;
  return {before_[begin], before_[end], to_str(text_.substr(begin, end - begin))};
}

}  // namespace miao::python
