// What the two loaders share.
#pragma once

#include "base/key_values.h"
#include "base/result.h"
#include "prep/tok/bpe.h"
#include "prep/tok/data.h"

namespace miao::prep {

PreStep split_step(Scanner scanner);
DecodeStep replace_step(std::string from, std::string to);

// The parts of a tokenizer from GGUF metadata and from tokenizer.json.
Result<std::shared_ptr<const TokenizerData>> load_gguf(const KeyValues& meta);
Result<std::shared_ptr<TokenizerData>> load_json(std::string_view json, std::string_view config);

}  // namespace miao::prep
