// Side files of a Hugging Face directory: configuration, tokenizer, chat templates, model card and licence, which a
// written model needs beside its weights.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::io {

// Copies them to `to`, each atomically, and gives their names. `to` is made where its parent is there. Weights and
// lists of weights stay behind, and of folders all but those that modules.json names and additional templates. What is
// in `except` the caller writes itself. Errors: invalid where both are one folder, and those of the file system.
Result<std::vector<std::string>> copy_side_files(const std::filesystem::path& from, const std::filesystem::path& to,
                                                 std::span<const std::string_view> except = {});

}  // namespace miao::io
