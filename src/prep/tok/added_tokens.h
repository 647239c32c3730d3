// Added tokens: texts that are found before the model sees the rest, and their flags as in tokenizer.json.
//
// Two sets are searched, each leftmost-longest: those with normalized = false in the raw text, then the others in the
// normalized text between them. Control tokens ("special") are found only where the caller allows it. Time is linear:
// a search looks at Trie::kMaxText bytes from each place at most, and whitespace that a token takes is walked once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "prep/tok/trie.h"

namespace miao::prep {

struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool single_word = false;  // not beside a word character
  bool lstrip = false;       // takes the whitespace before it
  bool rstrip = false;       // and after it
  bool normalized = false;
  bool special = false;
  bool leading = false;  // only where the text begins
};

class AddedTokens {
 public:
  // `text` is how the token is searched: its content, normalized when it is looked for in normalized text.
  // unsupported: too long for Trie.
  Result<void> add(const AddedToken& token, std::string_view text);
  const std::vector<AddedToken>& tokens() const { return tokens_; }
  bool any(bool normalized) const { return !tries_[normalized].empty(); }

  // Calls on_text(begin, end), which gives a Result<void>, and on_token(id, begin, end) in order over the whole of
  // `text`. allow(begin, end) says whether a control token may be there.
  template <class Allow, class OnText, class OnToken>
  Result<void> split(bool normalized, std::string_view text, Allow&& allow, OnText&& on_text,
                     OnToken&& on_token) const {
    size_t done = 0;
    size_t white = 0;  // where the last run of whitespace that a token took ends
    for (size_t at = 0; at < text.size();) {
      Found f = next(normalized, text, at);
      if (!f.token) break;
      at = f.end;
      if (f.token->special && !allow(f.begin, f.end)) continue;
      if (!fits(*f.token, text, done, &white, &f)) continue;
      if (done < f.begin) MIAO_CHECK_OK(on_text(done, f.begin));
      on_token(f.token->id, f.begin, f.end);
      // A token inside the whitespace that another one took gives back what lies behind it, as in the reference.
      done = f.end;
    }
    if (done < text.size()) MIAO_CHECK_OK(on_text(done, text.size()));
    return {};
  }

 private:
  struct Found {
    const AddedToken* token = nullptr;
    size_t begin = 0, end = 0;
  };
  Found next(bool normalized, std::string_view text, size_t at) const;
  // False when single_word forbids the match; otherwise widens it over the whitespace it takes.
  static bool fits(const AddedToken& token, std::string_view text, size_t done, size_t* white, Found* f);

  std::vector<AddedToken> tokens_;
  Trie tries_[2];
  std::string firsts_[2];  // the first bytes of the texts, each once
};

}  // namespace miao::prep
