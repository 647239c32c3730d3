// See measure.h: what all kinds share.
#include "cli/bench/measure.h"

#include <fmt/format.h>

#include "base/file.h"
#include "cli/encode/texts.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"
#include "prep/tokenizer.h"

namespace miao::cli {

measure::BenchOptions bench_options(const BenchFlags& o) {
  return {.reps = o.reps, .seed = o.seed, .profile = o.profile, .stop = &interrupted()};
}

Result<measure::LengthDistribution> lengths_of(const std::string& text, Result<const prep::Tokenizer*> tokenizer,
                                               int64_t ctx) {
  if (!text.starts_with("file:")) return measure::LengthDistribution::parse(text, ctx);
  if (!tokenizer.ok()) return tokenizer.error();
  MIAO_TRY(const std::string lines, read_file(text.substr(5), size_t{256} << 20));
  std::vector<int64_t> lengths;
  for (const std::string& line : lines_of(lines)) {
    MIAO_TRY(const auto ids, (*tokenizer)->encode(line));
    if (!ids.empty()) lengths.push_back(static_cast<int64_t>(ids.size()));
  }
  return measure::LengthDistribution::of(std::move(lengths), ctx, text);
}

Result<measure::Workload> workload_of(const BenchFlags& o, const std::vector<int64_t>& batches,
                                      Result<const prep::Tokenizer*> tokenizer, int64_t ctx) {
  MIAO_TRY(auto lengths, lengths_of(o.lengths, std::move(tokenizer), ctx));
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
