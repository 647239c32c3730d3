// See measure.h: what all kinds share.
#include "cli/bench/measure.h"

#include <fmt/format.h>

#include "cli/interrupt.h"
#include "cli/lengths.h"
#include "cli/terminal.h"

namespace miao::cli {

measure::BenchOptions bench_options(const BenchFlags& o) {
  return {.reps = o.reps, .seed = o.seed, .profile = o.profile, .stop = &interrupted()};
}

Result<measure::Workload> workload_of(const BenchFlags& o, const std::vector<int64_t>& batches,
                                      const Result<const prep::Tokenizer*>& tokenizer, int64_t ctx) {
  MIAO_TRY(auto lengths, lengths_of(o.lengths, tokenizer, ctx));
  return measure::Workload{.lengths = std::move(lengths),
                           .samples = o.samples,
                           .batch = batches[0],
                           .reps = o.reps,
                           .seed = o.seed,
                           .stop = &interrupted()};
}

Doing::Doing(const Common& common, const std::string& what) : shown_(!common.quiet && is_tty(2)) {
  if (shown_) fmt::print(stderr, "\r\033[K{}", what);
}

Doing::~Doing() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

}  // namespace miao::cli
