// The time of a report.
#pragma once

#include <string>

namespace miao::cli {

std::string utc_now();  // "2026-01-31 12:00 UTC"

}  // namespace miao::cli
