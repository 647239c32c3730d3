// Benches of an encoder: how long passes over inputs take, and the share of what the machine can compute.
//   random    passes over `batch` inputs of `tokens` random ids each
//   texts     all texts of a file, from the longest to the shortest, `batch` in a pass: ragged lengths, no padding
// A repetition is as many passes as give some thousand tokens, or all of the texts. Vectors come out and are dropped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "measure/bench.h"
#include "measure/stats.h"
#include "measure/workload.h"
#include "runtime/encoder.h"

namespace miao::measure {

struct EncodeCase {
  int64_t tokens = 24;
  int64_t batch = 1;
};

struct EncodeRow {
  std::string texts;               // the file's name; empty = random ids
  int64_t inputs = 0, tokens = 0;  // of a repetition
  int64_t batch = 1;               // inputs of a pass
  int threads = 1;
  std::vector<double> seconds;             // per repetition, all passes
  std::vector<double> tokenising_seconds;  // per repetition, before its passes; empty where ids are random
  std::vector<double> pass_seconds;        // of all repetitions in order
  Spread tok_s, inputs_s;
  Spread whole_inputs_s;  // tokenising included; zero where ids are random
  double pass_p50_ms = 0, pass_p90_ms = 0, pass_p99_ms = 0;
  int64_t peak_rss = 0;  // bytes, of the process so far
  Limits limits;
  Peak peak;
  double ops_per_token = 0;                             // matrix products of the blocks
  Load load;                                            // share of peak.ops
  std::vector<std::pair<std::string, double>> profile;  // seconds by kind of step

  double mean_tokens() const { return static_cast<double>(tokens) / static_cast<double>(inputs); }
};

std::string name_of(const EncodeRow& row);  // by what it ran: "24 tokens, batch 32"

// A warm-up comes first. Errors: invalid where an input is too long, cancelled, out_of_memory.
Result<EncodeRow> bench_encode(runtime::Encoder& encoder, const EncodeCase& what, const BenchOptions& options);
// Passes over these inputs, `batch` in each.
Result<EncodeRow> bench_ids(runtime::Encoder& encoder, std::span<const std::vector<int32_t>> ids, int64_t batch,
                            const BenchOptions& options);
// Texts that are too long lose their end. Errors also: that there is no tokenizer, or no text.
Result<EncodeRow> bench_texts(runtime::Encoder& encoder, std::span<const std::string> texts, std::string name,
                              int64_t batch, const BenchOptions& options);
// Sets peak, ops_per_token and load of a row. `chunk`: tokens that the encoder computes together.
void compare_with(const Limits& limits, const runtime::Encoder& encoder, int64_t chunk, EncodeRow& row);

// The latency of a workload (workload.h).
Result<LatencyReport> bench_latency(runtime::Encoder& encoder, const Workload& workload, int64_t chunk);

}  // namespace miao::measure
