// Words of a transcript, and how many of them are wrong.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace miao::measure {

// In lower case (NFKC), letters, digits, marks and apostrophes; everything else parts words.
std::vector<std::string> words_of(std::string_view text);
// The least number of words to change, add or remove (Levenshtein).
int64_t word_errors(std::span<const std::string> said, std::span<const std::string> heard);

}  // namespace miao::measure
