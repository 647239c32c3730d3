// Tokens of a text as words.
#pragma once

#include <string_view>
#include <vector>

#include "prep/tokenizer.h"

namespace miao::runtime {

// Whether token `at` of a text goes on with the word of the token before it: WordPiece says so; elsewhere a word begins
// at a blank, as transformers guesses it, but never inside a letter.
inline bool continues_word(const prep::Tokenizer& tokenizer, std::string_view text, const prep::LocatedIds& located,
                           size_t at) {
  constexpr std::string_view kBlank = " \t\r\n";
  const int32_t id = located.ids[at];
  const prep::ByteRange range = located.ranges[at];
  if (at > 0 && range.begin < located.ranges[at - 1].end) return true;
  if (tokenizer.unk_id() == id) return false;
  if (tokenizer.kind() == "WordPiece") return tokenizer.id_to_piece(id).starts_with("##");
  if (range.begin == 0 || range.begin >= text.size()) return false;
  return kBlank.find(text[range.begin - 1]) == kBlank.npos && kBlank.find(text[range.begin]) == kBlank.npos;
}

// The range without blanks at its ends, which some tokenizers count to a word.
inline prep::ByteRange without_blanks(std::string_view text, prep::ByteRange range) {
  const auto blank = [&](uint32_t at) { return text[at] == ' ' || text[at] == '\n' || text[at] == '\t'; };
  while (range.begin < range.end && blank(range.begin)) ++range.begin;
  while (range.begin < range.end && blank(range.end - 1)) --range.end;
  return range;
}

}  // namespace miao::runtime
