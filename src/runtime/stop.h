// StopMatcher: ends a stream of text at the first stop string, wherever token borders fall.
//
// The text that may still become a stop string is held back, so that no byte of one is ever given out:
//   stops {"END"}:  push("a E") -> "a ", push("N") -> "", push("T") -> "ENT"
// Of several strings the one that is complete first counts, of those that are complete together the longest. What comes
// out does not depend on how the text was cut into pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::runtime {

class StopMatcher {
 public:
  // Errors: invalid for an empty stop string or one that is not UTF-8.
  static Result<StopMatcher> create(std::vector<std::string> stops);
  StopMatcher() = default;  // never stops

  // Takes the next piece and returns the text that can be shown now. After a stop everything is swallowed.
  std::string push(std::string_view piece);
  // The end of the stream: returns what was held back (nothing after a stop).
  std::string finish();

  bool stopped() const { return matched_ >= 0; }
  // The string that ended the stream; empty while there is none.
  std::string_view matched() const { return matched_ < 0 ? std::string_view() : stops_[static_cast<size_t>(matched_)]; }

 private:
  std::vector<std::string> stops_;
  std::string held_;  // a proper prefix of a stop string, or empty
  int matched_ = -1;
};

}  // namespace miao::runtime
