// The precompiled character map of SentencePiece: a double-array trie of texts and the texts that replace them.
//
//   bytes   u32 size of the trie in bytes | trie units (u32, little endian) | replacements, each ended by a zero byte
//   unit    bit 8: a value follows at the offset | offset: bits 10.. (<< 8 when bit 9 is set) | label: bits 0-7 and 31
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/tok/trace.h"

namespace miao::prep {

class Charsmap {
 public:
  static Result<Charsmap> parse(std::string_view blob);

  // What parse() was given.
  std::string blob() const;

  struct Hit {
    size_t size;  // bytes of the text
    std::string_view replacement;
  };
  // The shortest or the longest entry that begins `text`.
  std::optional<Hit> find(std::string_view text, bool longest) const;

  // `clusters`: as Hugging Face's library reads the map (whole grapheme clusters of under 6 bytes first, and the
  // shortest entry wins); otherwise as SentencePiece does (the longest entry at each place). Stops behind the place
  // where `out` has more than `most` bytes.
  void normalize(const Source& source, bool clusters, size_t most, Text& out) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace miao::prep
