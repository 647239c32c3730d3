// The model of a SentencePiece file behind the ids of a tokenizer, which are often others than the file's own.
//
//   word -> cut at user-defined pieces (BPE) -> Unigram or BPE over the file's pieces -> ids of the file -> ids
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "prep/tok/model.h"
#include "prep/tok/spm_file.h"
#include "prep/tok/spm_normalizer.h"
#include "prep/tok/trie.h"
#include "prep/tok/vocab.h"

namespace miao::prep {

// How the ids of a file become those of a tokenizer.
struct SpmIds {
  std::vector<int32_t> of;  // by id of the file; empty: they are the same
  const Vocab* surfaces =
      nullptr;  // unknown text that is spelled here has this id of the tokenizer; outlives the model
};

class SpmModel : public Model {
 public:
  // Keeps nothing of `file`. unsupported: pieces too long for Trie, a BPE model with unused pieces.
  static Result<std::unique_ptr<Model>> make(const SpmFile& file, SpmIds ids);
  void encode(std::string_view word, Pieces& out) const override;
  std::string_view kind() const override { return inner_->kind(); }
  ModelParts parts() const override;

 private:
  Result<void> make_unigram(const SpmFile& file);
  Result<void> make_bpe(const SpmFile& file);
  void encode_cut(std::string_view word, Pieces& out) const;

  Vocab pieces_;  // ids of the file; control pieces are not searchable
  std::unique_ptr<Model> inner_;
  Trie frozen_;  // BPE: user-defined pieces, which no merge reaches into
  SpmIds ids_;
};

// The normalizer that the file asks for.
Result<std::shared_ptr<const SpmNormalizer>> spm_normalizer(const SpmFile& file);

}  // namespace miao::prep
