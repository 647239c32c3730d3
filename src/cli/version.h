// The version that --version prints.
#pragma once

namespace miao::cli {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace miao::cli
