// Unigram language model: the segmentation of the highest summed score, by Viterbi over a trie of the pieces.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "base/result.h"
#include "prep/tok/model.h"
#include "prep/tok/trie.h"
#include "prep/tok/vocab.h"

namespace miao::prep {

struct UnigramOptions {
  int32_t unk = -1;
  bool byte_fallback = true;     // where the vocabulary has all byte tokens of an unknown text
  bool single = false;           // sums in float, as SentencePiece; it decides between paths of nearly one score
  std::optional<double> lowest;  // score that unknown text is measured from; absent: the lowest of the model's pieces
  const Vocab* surfaces = nullptr;  // unknown text that is spelled here has this id, counted from the vocabulary's size
};

class Unigram : public Model {
 public:
  // scores[id] for the ids with in_model[id]. invalid: a score that is not finite, no piece, a bad unk id; unsupported:
  // a piece that is too long for Trie.
  static Result<std::unique_ptr<Model>> make(const Vocab& vocab, const std::vector<double>& scores,
                                             const std::vector<bool>& in_model, UnigramOptions options);
  void encode(std::string_view word, Pieces& out) const override;
  std::string_view kind() const override { return "Unigram"; }
  ModelParts parts() const override;

 private:
  void best_path(std::string_view word, Pieces& out) const;

  uint32_t serial_ = 0;
  bool single_ = false, byte_fallback_ = false;
  Trie trie_;
  std::vector<double> scores_;
  std::vector<bool> in_model_;
  double unk_score_ = 0;
  int32_t unk_ = -1;
  const Vocab* surfaces_ = nullptr;
  int32_t size_ = 0;  // of the vocabulary
  std::array<int32_t, 256> byte_id_;
};

}  // namespace miao::prep
