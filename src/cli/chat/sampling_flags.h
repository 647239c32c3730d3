// The flags of sampling, with the names that users of other programs know. A flag that is not given leaves the model's
// own default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/verb.h"
#include "runtime/sampler.h"

namespace miao::cli {

struct SamplingFlags {
  std::optional<float> temperature, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k, repeat_last_n;
  std::optional<uint64_t> seed;
  bool greedy = false;
  std::vector<std::string> logit_bias;  // "ID=VALUE", "ID+VALUE", "ID-VALUE"

  // What the flags check cannot fail here; a bias that cannot be read is left out.
  runtime::SamplerOptions over(runtime::SamplerOptions defaults) const;
};

void add_sampling_flags(CLI::App& app, SamplingFlags& flags);

}  // namespace miao::cli
