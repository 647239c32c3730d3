// --lengths: the lengths of inputs, as a distribution.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "measure/lengths.h"
#include "prep/tokenizer.h"

namespace miao::cli {

constexpr int64_t kMaxLength = 1 << 20;
CLI::Validator length_distribution();  // "uniform:A:B", "poisson:L" or "file:PATH"
// By name, or from the texts on the lines of a file, which need the tokenizer. Errors: of the file; of
// LengthDistribution.
Result<measure::LengthDistribution> lengths_of(const std::string& text, const Result<const prep::Tokenizer*>& tokenizer,
                                               int64_t most);

}  // namespace miao::cli
