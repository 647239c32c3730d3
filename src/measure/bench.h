// Benches of a loaded model: prefill and decode speed, token latencies, the share of what the machine can do, and the
// latency model over a workload. Token ids are random and nothing is sampled, so that figures compare with llama-bench:
//   prefill   `prompt` tokens of each of `batch` sequences in one call, logits of the last position
//   decode    `gen` steps of one token for each of `batch` sequences, each with its logits
// Both start behind `depth` positions of context, which are computed first and not timed.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "measure/latency.h"
#include "measure/stats.h"
#include "runtime/engine.h"

namespace miao::measure {

struct BenchCase {
  int64_t prompt = 512;  // 0 = no prefill
  int64_t gen = 128;     // 0 = no decode
  int64_t batch = 1;
  int64_t depth = 0;

  int64_t ctx() const { return depth + (prompt > gen ? prompt : gen); }  // positions a sequence needs
};

// What the machine can do with the engine's threads, measured.
struct Limits {
  double read = 0;                     // bytes a second for a working set as large as the weights
  double fp32 = 0, int8 = 0, amx = 0;  // operations a second; amx 0 = none
};
// Takes about a second. Errors: out_of_memory.
Result<Limits> measure_limits(runtime::Engine& engine);

// The work of one token and the share of the limits that a measured speed reaches.
struct Roofline {
  double bytes_per_token = 0;  // weights, read once a step
  double read = 0;             // bytes a second that memory gives
  double decode_share = 0;     // (weights + keys and values read) / (time * read)
  double ops_per_token = 0;    // of the products of prefill, without the output matrix
  double peak = 0;             // operations a second
  std::string peak_name;       // "AMX int8", "VNNI int8", "FP32"
  double prefill_share = 0;
  double vector_int8 = 0;   // peak of the vector unit, which tiles may exceed
  double vector_share = 0;  // prefill against that; 0 for floating weights
};

struct BenchRow {
  BenchCase what;
  int threads = 1;
  std::vector<double> prefill_seconds;  // per repetition
  std::vector<double> decode_seconds;   // per repetition, all steps
  std::vector<double> step_seconds;     // of all repetitions in order
  Spread prefill_tok_s, decode_tok_s;   // zero when not measured
  double ttft_ms = 0;                   // median time of the prefill: the first token can be chosen then
  double itl_p50_ms = 0, itl_p95_ms = 0, itl_p99_ms = 0;
  int64_t peak_rss = 0;  // bytes, of the process so far
  Roofline roofline;
  std::vector<std::pair<std::string, double>> prefill_profile, decode_profile;  // seconds by kind of step
};

struct BenchOptions {
  int reps = 5;
  uint64_t seed = 1;
  bool profile = false;                     // slows small models slightly
  const std::atomic<bool>* stop = nullptr;  // once true the bench ends with Error cancelled
};

// A warm-up run comes first. Errors: invalid where the context is too small, out_of_memory, cancelled, those of
// Engine::forward.
Result<BenchRow> bench(runtime::Engine& engine, const BenchCase& what, const BenchOptions& options);
// The shares of the limits that a row reached. Limits are measured after the rows, so that the probes' buffers do not
// count in peak_rss.
Roofline roofline(const runtime::Engine& engine, const Limits& limits, const BenchRow& row);

struct Workload {
  LengthDistribution lengths;
  int samples = 100;
  int64_t batch = 1;
  int reps = 5;  // per point of the fit
  uint64_t seed = 1;
  const std::atomic<bool>* stop = nullptr;  // as above
};

struct LatencyReport {
  std::string lengths;
  int threads = 1;
  double mean_length = 0;
  std::vector<LatencySample> points;  // medians that tau is fitted to
  LatencyModel tau;
  int samples = 0;
  double predicted = 0;  // E[tau(n)], seconds
  double measured = 0;   // mean over the samples, one input at a time
  Interval measured_ci;  // 95 %, bootstrap
  int64_t batch = 1;
  double batch_seconds = 0;  // mean time of a pass over `batch` inputs; each input waits that long
  double batch_inputs_per_second = 0;
};

// Latency is the time of the pass over the whole input (its prefill). Errors as bench().
Result<LatencyReport> bench_latency(runtime::Engine& engine, const Workload& workload, int64_t chunk);

}  // namespace miao::measure
