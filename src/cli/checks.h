// Checks of flag values that CLI11 has not: what they refuse is wrong usage, told before anything is loaded.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace miao::cli {

// `what` completes "'x' is not ...": "a number from 0 to 1". NaN lies nowhere; CLI::Range lets it pass.
CLI::Validator number_within(double low, double high, std::string what);
CLI::Validator whole_number();  // 0 to 2^64 - 1, which CLI11 wraps around and clamps
CLI::Validator not_empty();

}  // namespace miao::cli
