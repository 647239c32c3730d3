// Everything a tokenizer consists of; the loaders fill it, tokenizer.cpp reads it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "prep/tok/added_tokens.h"
#include "prep/tok/decoder.h"
#include "prep/tok/language_table.h"
#include "prep/tok/model.h"
#include "prep/tok/normalizer.h"
#include "prep/tok/pre_tokenizer.h"
#include "prep/tok/vocab.h"

namespace miao::prep {

// What add_special puts around a text, and how two texts stand together.
struct Frame {
  struct Part {
    static constexpr int32_t kFirst = -1, kSecond = -2;  // the two texts
    int32_t id;                                          // of a token, or one of these
    int32_t type;                                        // segment
  };
  std::vector<int32_t> prefix, suffix;
  std::vector<Part> pair;  // empty: the file does not say
  bool trim = false;       // ranges of tokens are without the spaces at their ends
};

struct TokenizerData {
  TokenizerData() = default;
  TokenizerData(const TokenizerData&) = delete;  // the model points into `vocab`
  TokenizerData& operator=(const TokenizerData&) = delete;

  static constexpr int32_t kMaxVocab = 1 << 24;      // ids
  static constexpr size_t kMaxPieceBytes = 1 << 30;  // all pieces together
  static constexpr size_t kMaxTokenBytes = 1 << 13;  // one piece; vocabularies in use have up to 1024

  Vocab vocab;                     // all ids; added tokens that the model does not know are not searchable in it
  std::vector<uint8_t> special;    // by id: a control token
  Vocab added_names;               // texts of the added tokens that are not searchable in `vocab`
  std::vector<int32_t> added_ids;  // and their ids
  AddedTokens added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::unique_ptr<Model> model;
  Decoder decoder;
  Frame frame;
  std::optional<int32_t> bos, eos, unk, pad;
  std::vector<int32_t> eog;  // ascending
  LanguageTable languages;
  std::shared_ptr<const TokenizerData> target;  // of the texts that a translation model writes; null: this one

  int32_t find(std::string_view piece) const {
    if (const int32_t id = vocab.find(piece); id >= 0) return id;
    const int32_t index = added_names.find(piece);
    return index < 0 ? -1 : added_ids[static_cast<size_t>(index)];
  }
  // Fills `eog` from eos and from the control tokens with well-known names.
  void collect_eog();
};

}  // namespace miao::prep
