// Which files of a model repository are needed, decided on names alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::io {

struct Selection {
  std::vector<std::string> files;  // to have locally
  std::string entry;               // what a loader opens: a file of the list, or empty for the directory
};

// `paths`: all files of the repository. `wanted`: empty, a file's path, or a quantisation tag such as Q4_K_M that one
// GGUF file (or set of parts) carries in its name. `place` begins error messages.
Result<Selection> select_files(const std::vector<std::string>& paths, std::string_view wanted,
                               const std::string& place);

// A GGUF file that is a model by itself or the first of its parts; projectors and importance matrices are not.
bool is_main_gguf(std::string_view path);
// "a, b, c" with at most 24 names.
std::string join_names(const std::vector<std::string>& names);

}  // namespace miao::io
