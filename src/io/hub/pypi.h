// Model files that travel inside Python packages.
#pragma once

#include <filesystem>

#include "io/hub.h"
#include "io/hub/ref.h"

namespace miao::io {

Result<std::filesystem::path> resolve_pypi(const ModelRef& ref, const ResolveOptions& options);
Result<Removal> plan_pypi_removal(const ModelRef& ref);

}  // namespace miao::io
