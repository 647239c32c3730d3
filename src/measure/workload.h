// The latency of a workload: inputs whose lengths follow a distribution. What the fitted tau(n) predicts, the sum of
// p(n) tau(n) over the distribution, stands beside the mean latency of inputs that were drawn from it and measured.
//
// Both sides are means, and all their measurements stand in one random order: a slow spell of the machine hits both
// alike, and repetitions are as independent as the bootstrap takes them to be.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "measure/latency.h"
#include "measure/lengths.h"
#include "measure/stats.h"
#include "runtime/engine.h"

namespace miao::measure {

struct Workload {
  LengthDistribution lengths;
  int samples = 100;  // inputs to measure; rounded up to whole batches
  int64_t batch = 1;
  int reps = 5;  // least, per length that tau is fitted to
  uint64_t seed = 1;
  const std::atomic<bool>* stop = nullptr;  // once true the bench ends with Error cancelled
};

struct LatencyReport {
  std::string lengths;
  int threads = 1;
  double mean_length = 0;
  std::vector<std::pair<int64_t, double>> distribution;  // length, probability
  std::vector<LatencyPoint> points;                      // that tau is fitted to
  LatencyModel tau;
  FitError error;
  std::vector<std::pair<int64_t, double>> inputs;  // length, seconds; ascending lengths, one input at a time
  // Intervals are of 95 %, bootstrap.
  Estimate predicted;   // E[tau(n)], seconds
  Estimate measured;    // mean over the inputs
  Estimate difference;  // predicted / measured - 1
  int64_t batch = 1;
  Estimate batch_seconds;  // mean time of a pass over `batch` inputs: each of them waits that long
  double batch_inputs_per_second = 0;

  // Whether prediction and measurement differ by no more than their noise explains.
  bool agrees() const { return difference.ci.low <= 0 && difference.ci.high >= 0; }
};

// "no more than noise", or that the fit misses by more.
const char* verdict(const LatencyReport& report);

// Seconds of one pass over inputs of these lengths.
using TimePass = std::function<Result<double>(std::span<const int64_t> lengths)>;
// Errors: those of `time`.
Result<LatencyReport> measure_workload(const Workload& workload, int64_t chunk, const TimePass& time);

// With an engine whose prompts go through it in chunks of `chunk`. Errors: invalid where the context is too small,
// out_of_memory, cancelled, those of Engine::forward.
Result<LatencyReport> bench_latency(runtime::Engine& engine, const Workload& workload, int64_t chunk);

}  // namespace miao::measure
