#include "measure/herd.h"

#include <string>

#include "base/clock.h"
#include "models/spec.h"

namespace miao::measure {

using runtime::Engine;
using runtime::Sequence;
using runtime::Slice;

std::vector<int32_t> random_tokens(runtime::Rng& rng, int64_t n, int64_t vocab) {
  std::vector<int32_t> out(static_cast<size_t>(n));
  for (int32_t& id : out) id = static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab)));
  return out;
}

Result<void> check_room(const Engine& engine, int64_t sequences, int64_t positions) {
  if (positions > engine.ctx()) {
    return Error{Code::invalid,
                 "needs " + std::to_string(positions) + " positions, but the context has " +
                     std::to_string(engine.ctx()) + "; the model was made for " + std::to_string(engine.spec().ctx),
                 "bench"};
  }
  return engine.check_memory(sequences, positions);
}

Herd::Herd(Engine& engine, int64_t count, runtime::Rng& rng, const std::atomic<bool>* stop)
    : engine_(engine), rng_(rng), stop_(stop) {
  for (int64_t i = 0; i < count; ++i) sequences_.push_back(engine.new_sequence());
}

Result<double> Herd::feed(std::span<const int64_t> counts, runtime::Want want) {
  if (stop_ && *stop_) return Error{Code::cancelled, "interrupted", "bench"};
  std::vector<std::vector<int32_t>> tokens;
  std::vector<Slice> slices;
  for (size_t i = 0; i < counts.size(); ++i) {
    tokens.push_back(random_tokens(rng_, counts[i], engine_.vocab()));
    slices.push_back({&sequences_[i], tokens.back(), want});
  }
  const double start = now_seconds();
  MIAO_CHECK_OK(engine_.forward(slices, stop_));
  return now_seconds() - start;
}

Result<double> Herd::feed(int64_t n, runtime::Want want) {
  return feed(std::vector<int64_t>(sequences_.size(), n), want);
}

void Herd::truncate(int64_t size) {
  for (Sequence& s : sequences_) s.truncate(size);
}

}  // namespace miao::measure
