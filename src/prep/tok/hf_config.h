// What tokenizer_config.json and its companions say about a tokenizer whose pieces are in other files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/tok/added_tokens.h"
#include "prep/tokenizer.h"

namespace miao::prep {

struct HfConfig {
  // Control tokens by role ("eos_token"), where the files name them.
  std::map<std::string, std::string, std::less<>> roles;
  std::vector<std::string> additional;  // additional_special_tokens, extra_special_tokens
  std::vector<AddedToken> added;        // added_tokens.json, then added_tokens_decoder, which says more
  std::string tokenizer_class;          // without "Fast"; empty: not said
  std::string source_language, target_language, language_codes;
  std::optional<bool> add_bos, add_eos, add_prefix_space, legacy, separate_vocabs, legacy_behaviour;
  int64_t extra_ids = 100;

  std::string role(std::string_view name, std::string_view fallback) const {
    const auto found = roles.find(name);
    return found == roles.end() ? std::string(fallback) : found->second;
  }
};

// Reads tokenizer_config.json, special_tokens_map.json and added_tokens.json, those that are there; for a missing class
// also config.json.
Result<HfConfig> read_hf_config(const ReadFile& read);

}  // namespace miao::prep
