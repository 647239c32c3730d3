// WordPiece: the longest piece from the left, again and again; a word that cannot be spelled is one unknown token.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "prep/tok/model.h"
#include "prep/tok/trie.h"
#include "prep/tok/vocab.h"

namespace miao::prep {

class WordPiece : public Model {
 public:
  // `prefix` begins the pieces that continue a word; words of more than `max_chars` code points are unknown.
  // unsupported: a piece that is too long for Trie.
  static Result<std::unique_ptr<Model>> make(const Vocab& vocab, const std::vector<bool>& in_model,
                                             std::string_view prefix, int32_t unk, size_t max_chars);
  void encode(std::string_view word, Pieces& out) const override;
  std::string_view kind() const override { return "WordPiece"; }
  ModelParts parts() const override { return {.prefix = prefix_, .max_chars = max_chars_}; }

 private:
  void spell(std::string_view word, Pieces& out) const;

  Trie first_, rest_;  // pieces that begin a word; that continue one, without the prefix
  uint32_t serial_ = 0;
  int32_t unk_ = -1;
  size_t max_chars_ = 0;
  std::string prefix_;
};

}  // namespace miao::prep
