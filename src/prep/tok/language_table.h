// The languages of a translation model, and where a tokenizer puts them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace miao::prep {

struct LanguageTable {
  enum class Place {
    none,          // the model translates between two languages, or does not translate
    source_first,  // encoder: source, text, end; the decoder begins with the target     M2M-100, mBART-50, NLLB
    source_last,   // encoder: text, end, source; the decoder begins with the target     mBART, older NLLB
    target_first,  // encoder: target, text, end; nothing in the decoder                 Marian
  };
  struct Language {
    std::string code;  // "fr", "fr_XX", "fra_Latn", or "fra" of ">>fra<<"
    int32_t id;
  };
  Place place = Place::none;
  std::vector<Language> languages;  // in the order of their ids
  std::string source, target;       // the file's default, or the two of a model for a pair; may be empty
};

}  // namespace miao::prep
