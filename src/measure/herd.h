// Sequences that grow together, fed with random tokens and timed: what every bench of a model does.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/engine.h"
#include "runtime/rng.h"

namespace miao::measure {

// Ids of a vocabulary, each as likely.
std::vector<int32_t> random_tokens(runtime::Rng& rng, int64_t n, int64_t vocab);

// Whether `sequences` of `positions` each can be measured. A batch that does not fit into memory would end the process,
// not the measurement. Errors: invalid where the context is too small, out_of_memory.
Result<void> check_room(const runtime::Engine& engine, int64_t sequences, int64_t positions);

class Herd {
 public:
  // `stop` may be null; once true, feeding fails with cancelled.
  Herd(runtime::Engine& engine, int64_t count, runtime::Rng& rng, const std::atomic<bool>* stop);

  // Appends counts[i] tokens to sequence i, or n to each; the seconds that took.
  Result<double> feed(std::span<const int64_t> counts, runtime::Want want);
  Result<double> feed(int64_t n, runtime::Want want);
  void truncate(int64_t size);

 private:
  runtime::Engine& engine_;
  runtime::Rng& rng_;
  const std::atomic<bool>* stop_;
  std::vector<runtime::Sequence> sequences_;
};

}  // namespace miao::measure
