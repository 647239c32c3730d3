// Each push looks at held text + piece: a few hundred bytes against a few short strings, so plain searches do.
#include "runtime/stop.h"

#include <algorithm>

namespace miao::runtime {

namespace {

bool valid_utf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
    const unsigned lead = byte(i);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    if (lead == 0xe0 && byte(i + 1) < 0xa0) return false;   // over-long
    if (lead == 0xed && byte(i + 1) >= 0xa0) return false;  // surrogates
    if (lead == 0xf0 && byte(i + 1) < 0x90) return false;   // over-long
    if (lead == 0xf4 && byte(i + 1) >= 0x90) return false;  // above U+10FFFF
    i += length;
  }
  return true;
}

}  // namespace

Result<StopMatcher> StopMatcher::create(std::vector<std::string> stops) {
  for (const std::string& stop : stops) {
    if (stop.empty()) return Error{Code::invalid, "a stop string is empty; leave it out", "stop"};
    if (!valid_utf8(stop)) return Error{Code::invalid, "a stop string is not valid UTF-8", "stop"};
  }
  StopMatcher out;
  out.stops_ = std::move(stops);
  return out;
}

std::string StopMatcher::push(std::string_view piece) {
  if (stopped()) return {};
  std::string text = std::move(held_);
  held_.clear();
  text += piece;

  size_t best_end = std::string::npos, best_begin = 0;
  for (size_t i = 0; i < stops_.size(); ++i) {
    const size_t begin = text.find(stops_[i]);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stops_[i].size();
    if (end < best_end || (end == best_end && begin < best_begin)) {
      best_end = end;
      best_begin = begin;
      matched_ = static_cast<int>(i);
    }
  }
  if (stopped()) {
    text.resize(best_begin);
    return text;
  }

  size_t hold = 0;  // the longest end of the text that begins a stop string
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, text.size()); n > hold; --n) {
      if (std::string_view(text).substr(text.size() - n) == std::string_view(stop).substr(0, n)) hold = n;
    }
  }
  held_ = text.substr(text.size() - hold);
  text.resize(text.size() - hold);
  return text;
}

std::string StopMatcher::finish() {
  std::string out = std::move(held_);
  held_.clear();
  return out;
}

}  // namespace miao::runtime
