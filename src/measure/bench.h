// Benches of a loaded model: prefill and decode speed, token latencies, and the share of what the machine can do. Token
// ids are random and nothing is sampled, so that figures compare with llama-bench:
//   prefill   `prompt` tokens of each of `batch` sequences in one call, logits of the last position
//   decode    `gen` steps of one token for each of `batch` sequences, each with its logits
// Both start behind `depth` positions of context, which are computed first and not timed.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
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
  double read = 0;                     // bytes a second, from a buffer of
  int64_t read_bytes = 0;              // as many bytes as the weights have
  double fp32 = 0, int8 = 0, amx = 0;  // operations a second; amx 0 = none
};
// With the threads of a model that has such weights. Takes about a second. Errors: out_of_memory.
Result<Limits> measure_limits(ThreadPool& pool, std::span<const runtime::KernelReport> kernels);

// A place under the roofline: how much was computed for each byte read, and how fast.
struct Load {
  double ops_per_byte = 0;
  double ops_per_second = 0;
  double share = 0;  // of the limit that the phase is compared with
};

// The limit of arithmetic that weights with these kernels are under.
struct Peak {
  double ops = 0;    // operations a second
  std::string name;  // "AMX int8", "vector int8", "FP32"
  bool integer = false;
};
Peak peak_of(std::span<const runtime::KernelReport> kernels, const Limits& limits);  // of all but the output matrix

// What a row's phases do, against what the machine can. Operations are those of matrix products with weights; bytes
// are weights, read once a step or chunk, and keys and values.
struct Roofline {
  Limits limits;
  double bytes_per_token = 0;        // weights, read once a step
  double decode_ops_per_token = 0;   // with the output matrix
  double prefill_ops_per_token = 0;  // without: only the last position of a prompt needs it
  Peak peak;                         // of the units that prefill uses
  Load decode;                       // share of limits.read; zero where not measured
  Load prefill;                      // share of peak
  double vector_share = 0;           // of prefill, of limits.int8, which tiles may exceed; 0 for floating weights
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
// count in peak_rss. `chunk`: tokens of a prompt that the engine computes together.
Roofline roofline(const runtime::Engine& engine, const Limits& limits, const BenchRow& row, int64_t chunk);

}  // namespace miao::measure
