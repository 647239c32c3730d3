// The pre-tokenizers that GGUF files call by name, of byte-level BPE.
#pragma once

#include <string_view>
#include <vector>

#include "prep/tok/pre_tokenizer.h"

namespace miao::prep {

struct GgufPre {
  std::string_view names;               // separated by blanks
  std::vector<std::string_view> steps;  // expressions that are applied in turn, or one of gguf_pre.cpp's signs
  bool ignore_merges = false;
  bool add_bos = false;
  bool add_sep = false;  // the separator after the text, as in RoBERTa
};

const GgufPre* find_pre(std::string_view name);  // null: not known
std::vector<PreStep> steps_of(const GgufPre& pre);
// The name of the one that has these steps; empty: none has.
std::string_view name_of(const std::vector<PreStep>& steps, bool ignore_merges);

}  // namespace miao::prep
