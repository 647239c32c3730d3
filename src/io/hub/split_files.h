// Files that were cut to fit a package index: NAME.part1, NAME.part2, ...
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/hub.h"

namespace miao::io {

struct FilePart {
  std::string_view whole;  // the name without the ending
  int number = 0;          // from 1; 0 = the name is not that of a part
};
FilePart file_part(std::string_view name);

// Joins the parts below `root`, wherever they stand, to whole files where the first parts are; what else stands beside
// a later part moves there too. not_found: a part is missing. A last part that is missing shows only in the file.
Result<void> join_split_files(const std::filesystem::path& root, const std::string& place,
                              const ResolveOptions& options);

}  // namespace miao::io
