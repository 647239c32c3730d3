// Pre-tokenizer expressions as hand-written linear scanners, found by the exact text of the expression.
//
// A scanner stands at `p` and returns the next stretch: [p, end) is one match of the expression, or (match false) text
// up to the next match. It never looks before p, so repeated calls walk the text once. Each expression is written out
// in scanners.cpp beside the function that does its work; an expression that is not in the list is unsupported.
#pragma once

#include <string_view>

namespace miao::prep {

struct Stretch {
  const char* end;
  bool match;
};
using Scanner = Stretch (*)(const char* p, const char* end);  // p < end, valid UTF-8

// nullptr: the expression is not known.
Scanner find_scanner(std::string_view expression);

// The expression of ByteLevel pre-tokenizers, and the two halves of what GGUF files name instead of spelling out.
Scanner gpt2_scanner();
Scanner word_scanner();  // \w+|[^\w\s]+ with the classes of the crate regex

}  // namespace miao::prep
