// Search for added tokens; see added_tokens.h.
#include "prep/tok/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "prep/tok/unicode.h"

namespace miao::prep {

Result<void> AddedTokens::add(const AddedToken& token, std::string_view text) {
  if (text.empty()) return {};
  MIAO_CHECK_OK(tries_[token.normalized].insert(text, static_cast<int32_t>(tokens_.size())));
  tokens_.push_back(token);
  std::string& firsts = firsts_[token.normalized];
  if (firsts.find(text.front()) == std::string::npos) firsts += text.front();
  return {};
}

AddedTokens::Found AddedTokens::next(bool normalized, std::string_view text, size_t at) const {
  const Trie& trie = tries_[normalized];
  const std::string& firsts = firsts_[normalized];
  while (at < text.size()) {
    if (firsts.size() == 1) {
      const void* hit = std::memchr(text.data() + at, firsts.front(), text.size() - at);
      if (!hit) return {};
      at = static_cast<size_t>(static_cast<const char*>(hit) - text.data());
    }
    int32_t node = trie.next(Trie::kRoot, text[at]);
    Found best;
    for (size_t i = at; node >= 0;) {
      ++i;
      if (const int32_t value = trie.value(node); value >= 0) best = {&tokens_[static_cast<size_t>(value)], at, i};
      if (i == text.size()) break;
      node = trie.next(node, text[i]);
    }
    if (best.token) return best;
    ++at;
  }
  return {};
}

// `done`: the end of the token before; *white: the farthest end of whitespace that tokens took. Matches come from left
// to right, so a match that ends before *white ends inside that run.
bool AddedTokens::fits(const AddedToken& token, std::string_view text, size_t done, size_t* white, Found* f) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (token.leading && f->begin > 0) return false;
  if (token.single_word) {
    if (f->begin > 0 && (class_before(begin, begin + f->begin) & kWord)) return false;
    if (f->end < text.size() && (class_at(begin + f->end).flags & kWord)) return false;
  }
  if (token.lstrip) {
    const char* p = begin + f->begin;
    while (p > begin + done && (class_before(begin, p) & kWhite)) {
      do {
        --p;
      } while ((static_cast<uint8_t>(*p) & 0xC0) == 0x80);
    }
    f->begin = static_cast<size_t>(p - begin);
  }
  if (token.rstrip) {
    const char* p = begin + std::max(f->end, *white);
    while (p < end) {
      const Classified c = class_at(p);
      if (!(c.flags & kWhite)) break;
      p += c.size;
    }
    f->end = *white = static_cast<size_t>(p - begin);
  }
  return true;
}

}  // namespace miao::prep
