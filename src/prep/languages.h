// The languages of a translation model: their codes and ids, and a text made ready for its encoder.
//
//   M2M-100 "fr"   mBART "fr_XX"   NLLB "fra_Latn"   Marian "fra" of its token ">>fra<<"
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prep/tokenizer.h"

namespace miao::prep {

class Languages {
 public:
  explicit Languages(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

  // Codes as the model's files write them, in the order of their ids; empty: the model has no choice of languages.
  std::vector<std::string_view> codes() const;
  // The id of a code, which may also be the whole token. not_found lists codes like it; unsupported: a model without
  // languages.
  Result<int32_t> id(std::string_view code) const;
  std::optional<std::string_view> code(int32_t id) const;

  struct Input {
    std::vector<int32_t> ids;      // of the encoder
    size_t front = 0, back = 0;    // how many of them stand before and behind those of the text
    std::optional<int32_t> first;  // what the decoder writes first, behind its start token; none: it chooses
  };
  // A text to translate. Empty codes: the source that the model's files name, a target of the decoder's own choice.
  // A model for one pair of languages takes empty codes or those of the pair.
  Result<Input> encode(std::string_view text, std::string_view source, std::string_view target,
                       bool parse_special = false) const;

 private:
  Result<void> check_pair(std::string_view source, std::string_view target) const;
  Error unknown(std::string_view code) const;

  Tokenizer tokenizer_;
};

}  // namespace miao::prep
