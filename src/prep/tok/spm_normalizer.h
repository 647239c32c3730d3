// What SentencePiece makes of a text before it looks for pieces: one walk that maps characters, drops spaces, and
// spells them as U+2581. Texts of user-defined pieces stay as they are.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "prep/tok/charsmap.h"
#include "prep/tok/trace.h"
#include "prep/tok/trie.h"

namespace miao::prep {

struct SpmNormalizer {
  std::optional<Charsmap> map;
  std::shared_ptr<const Trie> kept;  // texts of user-defined pieces; may be null
  bool dummy_prefix = true;          // a space before the text, or after it with `suffix`
  bool suffix = false;
  bool squeeze = true;  // spaces at the ends go, runs of them become one
  bool escape = true;   // spaces become U+2581

  // Appends what becomes of `source`; stops behind the place where `out` has more than `most` bytes.
  void run(const Source& source, size_t most, Text& out) const;

 private:
  struct Part {
    size_t size;            // bytes of the text
    std::string_view text;  // what they become
  };
  Part next(std::string_view text) const;
};

}  // namespace miao::prep
