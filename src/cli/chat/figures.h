// What an answer cost: speeds, time to the first token, the share of the machine's read bandwidth, memory.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runtime/engine.h"
#include "runtime/generate.h"

namespace miao::cli {

struct Figures {
  runtime::GenerateStats stats;
  double bandwidth_share = 0;  // bytes read while decoding / (time * measured bandwidth); 0 = not known
  uint64_t peak_rss = 0;       // bytes
  double load_seconds = 0;

  std::string line() const;
  void add_to(nlohmann::ordered_json& object) const;
};

// Measures the read bandwidth for a third of a second when this machine's figure is not cached.
Figures figures(runtime::Engine& engine, const runtime::GenerateStats& stats);

}  // namespace miao::cli
