// The steps of to_gguf().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/convert.h"
#include "models/family.h"
#include "models/source.h"
#include "models/spec.h"
#include "models/weights.h"

namespace miao::models {

// Everything of a spec that is a key, and what its rotation has as tensors.
void write_keys(const ModelSpec& spec, const GgufForm& form, KeyWriter& keys, std::vector<ConvertedTensor>& tensors);

// The tensors in `used`, as a GGUF file of the family has them. Errors: unsupported.
Result<std::vector<ConvertedTensor>> convert_tensors(const Source& source, const ModelSpec& spec, const Family& family,
                                                     const std::vector<TensorUse>& used);

// The first thing that the two would compute otherwise, as "what: one and other". The layouts of their tensors may
// differ. What GGUF files of the architecture have no key for, and their readers live without, goes to `notes`.
std::optional<std::string> difference(const ModelSpec& source, const ModelSpec& target, const GgufForm& form,
                                      std::vector<std::string>& notes);

// The tokenizer and the chat template, where the source has them. `frame`: with what stands around a text.
Result<void> write_tokenizer(const io::Checkpoint& source, const ModelSpec& spec, bool frame, Converted& out);

}  // namespace miao::models
