// WordPiece by two tries, so that a word costs its length times Trie::kMaxText at most; see word_piece.h.
#include "prep/tok/word_piece.h"

#include "prep/tok/unicode.h"
#include "prep/tok/word_table.h"

namespace miao::prep {

Result<std::unique_ptr<Model>> WordPiece::make(const Vocab& vocab, const std::vector<bool>& in_model,
                                               std::string_view prefix, int32_t unk, size_t max_chars) {
  auto model = std::make_unique<WordPiece>();
  model->serial_ = WordTable::new_serial();
  model->unk_ = unk;
  model->max_chars_ = max_chars;
  model->prefix_ = prefix;
  for (int32_t id = 0; id < vocab.size(); ++id) {
    const std::string_view piece = vocab.piece(id);
    if (piece.empty() || (!in_model.empty() && !in_model[static_cast<size_t>(id)])) continue;
    MIAO_CHECK_OK(model->first_.insert(piece, id));
    if (piece.size() > prefix.size() && piece.starts_with(prefix)) {
      MIAO_CHECK_OK(model->rest_.insert(piece.substr(prefix.size()), id));
    }
  }
  return std::unique_ptr<Model>(std::move(model));
}

void WordPiece::encode(std::string_view word, Pieces& out) const {
  WordTable::encode(serial_, word, out, [&] { spell(word, out); });
}

void WordPiece::spell(std::string_view word, Pieces& out) const {
  if (word.size() > max_chars_ && utf8_length(word) > max_chars_) return out.add(unk_, word);
  const size_t before = out.ids.size();
  for (size_t begin = 0; begin < word.size();) {
    const Trie& trie = begin == 0 ? first_ : rest_;
    int32_t node = Trie::kRoot, best = -1;
    size_t best_end = begin;
    for (size_t i = begin; i < word.size();) {
      node = trie.next(node, word[i++]);
      if (node < 0) break;
      if (trie.value(node) >= 0) {
        best = trie.value(node);
        best_end = i;
      }
    }
    if (best < 0) {
      out.resize(before);
      return out.add(unk_, word);
    }
    out.add(best, word.substr(begin, best_end - begin));
    begin = best_end;
  }
}

}  // namespace miao::prep
