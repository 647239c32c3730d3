// The flags of searching for the likeliest answer; one that is not given leaves the model's own setting.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/beam_search.h"

namespace miao::cli {

struct SearchFlags {
  std::optional<int64_t> beams;
  int64_t best = 1;
  std::optional<double> length_penalty;
  std::string prefix, source, target;

  void apply(runtime::BeamOptions& options) const;
};

void add_search_flags(CLI::App& app, SearchFlags& flags);

}  // namespace miao::cli
