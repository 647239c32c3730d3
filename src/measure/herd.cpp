#include "measure/herd.h"

#include <optional>
#include <string>

#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "kernels/table.h"
#include "models/spec.h"

namespace miao::measure {

using runtime::Engine;
using runtime::Sequence;
using runtime::Slice;

namespace {

std::vector<int32_t> random_tokens(runtime::Rng& rng, int64_t n, int64_t vocab) {
  std::vector<int32_t> out(static_cast<size_t>(n));
  for (int32_t& id : out) id = static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab)));
  return out;
}

}  // namespace

Result<void> check_room(const Engine& engine, int64_t sequences, int64_t positions) {
  if (positions > engine.ctx()) {
    return Error{Code::invalid,
                 "needs " + std::to_string(positions) + " positions, but the context has " +
                     std::to_string(engine.ctx()) + "; the model was made for " + std::to_string(engine.spec().ctx),
                 "bench"};
  }
  const uint64_t pages = static_cast<uint64_t>(kernels::round_up(positions, kernels::kPage));
  const uint64_t token = static_cast<uint64_t>(engine.memory().kv_per_token);
  const uint64_t logits = static_cast<uint64_t>(engine.vocab()) * sizeof(float);
  const auto kv = checked_mul(pages, token);
  const auto sequence = kv ? checked_add(*kv, logits) : std::nullopt;
  const auto bytes = sequence ? checked_mul(*sequence, static_cast<uint64_t>(sequences)) : std::nullopt;
  const uint64_t free = cpu_limits().memory_free;
  if (bytes && *bytes <= free) return {};
  return Error{Code::out_of_memory,
               "keys, values and logits of " + std::to_string(sequences) + " sequences of " +
                   std::to_string(positions) + " positions do not fit into the " + std::to_string(free >> 20) +
                   " MiB that are free; take fewer sequences or positions",
               "bench"};
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
  MIAO_CHECK_OK(engine_.forward(slices));
  return now_seconds() - start;
}

Result<double> Herd::feed(int64_t n, runtime::Want want) {
  return feed(std::vector<int64_t>(sequences_.size(), n), want);
}

void Herd::truncate(int64_t size) {
  for (Sequence& s : sequences_) s.truncate(size);
}

}  // namespace miao::measure
