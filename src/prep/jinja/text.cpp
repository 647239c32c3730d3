// Runs are kept merged on append; a uniform text gets explicit runs only when text of the other kind joins it.
#include "prep/jinja/text.h"

#include <algorithm>

namespace miao::prep::jinja {

void Text::append(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return;
  if (bytes_.empty()) {
    trust_ = trusted;
    runs_.clear();
  } else if (runs_.empty()) {
    if (trust_ != trusted) runs_ = {{bytes_.size(), trust_}, {bytes_.size() + bytes.size(), trusted}};
  } else if (runs_.back().trusted == trusted) {
    runs_.back().end += bytes.size();
  } else {
    runs_.push_back({bytes_.size() + bytes.size(), trusted});
  }
  bytes_.append(bytes);
}

void Text::append(const Text& other, size_t begin, size_t end) {
  other.each_run(begin, end, [&](std::string_view bytes, bool trusted) { append(bytes, trusted); });
}

void Text::append_times(const Text& other, size_t times) {
  for (size_t i = 0; i < times; ++i) append(other);
}

Text Text::slice(size_t begin, size_t end) const {
  Text result;
  result.markup = markup;
  result.append(*this, begin, end);
  return result;
}

size_t Text::first_run(size_t offset) const {
  return std::upper_bound(runs_.begin(), runs_.end(), offset, [](size_t at, const Run& r) { return at < r.end; }) -
         runs_.begin();
}

}  // namespace miao::prep::jinja
