#include "measure/bench.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/clock.h"
#include "base/cpu.h"
#include "measure/machine.h"
#include "models/spec.h"
#include "runtime/rng.h"

namespace miao::measure {

using runtime::Engine;
using runtime::Rng;
using runtime::Sequence;
using runtime::Slice;
using runtime::Want;

namespace {

std::vector<int32_t> random_tokens(Rng& rng, int64_t n, int64_t vocab) {
  std::vector<int32_t> out(static_cast<size_t>(n));
  for (int32_t& id : out) id = static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocab)));
  return out;
}

bool integer_format(const std::string& name) { return name != "F32" && name != "F16" && name != "BF16"; }

// Sequences that grow together, fed with random tokens.
class Herd {
 public:
  Herd(Engine& engine, int64_t count, Rng& rng, const std::atomic<bool>* stop)
      : engine_(engine), rng_(rng), stop_(stop) {
    for (int64_t i = 0; i < count; ++i) sequences_.push_back(engine.new_sequence());
  }

  // Appends n tokens to each sequence; the seconds it took.
  Result<double> feed(int64_t n, Want want) { return feed(std::vector<int64_t>(sequences_.size(), n), want); }
  Result<double> feed(const std::vector<int64_t>& counts, Want want) {
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
  void truncate(int64_t size) {
    for (Sequence& s : sequences_) s.truncate(size);
  }

 private:
  Engine& engine_;
  Rng& rng_;
  const std::atomic<bool>* stop_;
  std::vector<Sequence> sequences_;
};

Spread speeds(int64_t tokens, const std::vector<double>& seconds) {
  if (seconds.empty()) return {};
  std::vector<double> out;
  for (double s : seconds) out.push_back(static_cast<double>(tokens) / s);
  return spread(out);
}

Result<void> check_context(const Engine& engine, int64_t needed) {
  if (needed <= engine.ctx()) return {};
  return Error{Code::invalid,
               "needs " + std::to_string(needed) + " positions, but the context has " + std::to_string(engine.ctx()) +
                   "; the model was made for " + std::to_string(engine.spec().ctx),
               "bench"};
}

}  // namespace

Roofline roofline(const Engine& engine, const Limits& limits, const BenchRow& row) {
  Roofline out;
  out.read = limits.read;
  bool integer = true, tiles = true;
  for (const auto& group : engine.kernels()) {
    out.bytes_per_token += static_cast<double>(group.bytes);
    if (group.weights == "lm_head") continue;
    integer = integer && integer_format(group.format);
    tiles = tiles && group.gemm.find("amx") != std::string::npos;
    if (const auto dtype = dtype_from_name(group.format)) {
      out.ops_per_token += 2.0 * static_cast<double>(group.bytes) * format(*dtype).block / format(*dtype).bytes;
    }
  }
  const bool amx = integer && tiles && limits.amx > 0;
  out.peak = amx ? limits.amx : integer ? limits.int8 : limits.fp32;
  out.peak_name = amx ? "AMX int8" : integer ? "vector int8" : "FP32";
  const double batch = static_cast<double>(row.what.batch);
  if (row.decode_tok_s.median > 0) {
    const double context = static_cast<double>(row.what.depth) + static_cast<double>(row.what.gen) / 2;
    const double kv = batch * context * static_cast<double>(engine.memory().kv_per_token);
    out.decode_share = (out.bytes_per_token + kv) * row.decode_tok_s.median / batch / limits.read;
  }
  out.vector_int8 = limits.int8;
  const double ops = out.ops_per_token * row.prefill_tok_s.median;
  out.prefill_share = ops / out.peak;
  if (integer) out.vector_share = ops / limits.int8;
  return out;
}

Result<Limits> measure_limits(Engine& engine) {
  int64_t weights = 0;
  for (const auto& group : engine.kernels()) weights += group.bytes;
  Limits out;
  MIAO_TRY(out.read, read_bandwidth(engine.pool(), weights, 0.5));
  const PeakPoint peaks = compute_peaks(engine.pool(), 0.15);
  out.fp32 = peaks.fp32;
  out.int8 = peaks.int8;
  out.amx = peaks.amx;
  return out;
}

Result<BenchRow> bench(Engine& engine, const BenchCase& what, const BenchOptions& options) {
  MIAO_CHECK_OK(check_context(engine, what.ctx()));
  MIAO_CHECK_OK(engine.check_memory(what.batch, what.ctx()));
  BenchRow row;
  row.what = what;
  row.threads = engine.pool().threads();
  Rng rng(options.seed);
  Herd herd(engine, what.batch, rng, options.stop);
  if (what.depth > 0) MIAO_CHECK_OK(herd.feed(what.depth, Want::none));
  if (what.prompt > 0) MIAO_CHECK_OK(herd.feed(what.prompt, Want::last));
  herd.truncate(what.depth);
  if (what.gen > 0) MIAO_CHECK_OK(herd.feed(1, Want::last));
  herd.truncate(what.depth);

  for (int rep = 0; rep < options.reps && what.prompt > 0; ++rep) {
    if (rep == 0 && options.profile) engine.profile(true);
    MIAO_TRY(const double seconds, herd.feed(what.prompt, Want::last));
    row.prefill_seconds.push_back(seconds);
    herd.truncate(what.depth);
  }
  if (options.profile) row.prefill_profile = engine.profile();
  for (int rep = 0; rep < options.reps && what.gen > 0; ++rep) {
    if (rep == 0 && options.profile) engine.profile(true);
    double total = 0;
    for (int64_t step = 0; step < what.gen; ++step) {
      MIAO_TRY(const double seconds, herd.feed(1, Want::last));
      row.step_seconds.push_back(seconds);
      total += seconds;
    }
    row.decode_seconds.push_back(total);
    herd.truncate(what.depth);
  }
  if (options.profile) {
    row.decode_profile = engine.profile();
    engine.profile(false);
  }

  row.prefill_tok_s = speeds(what.batch * what.prompt, row.prefill_seconds);
  row.decode_tok_s = speeds(what.batch * what.gen, row.decode_seconds);
  if (!row.prefill_seconds.empty()) row.ttft_ms = 1e3 * median(row.prefill_seconds);
  if (!row.step_seconds.empty()) {
    row.itl_p50_ms = 1e3 * quantile(row.step_seconds, 0.5);
    row.itl_p95_ms = 1e3 * quantile(row.step_seconds, 0.95);
    row.itl_p99_ms = 1e3 * quantile(row.step_seconds, 0.99);
  }
  row.peak_rss = static_cast<int64_t>(peak_rss_bytes());
  return row;
}

Result<LatencyReport> bench_latency(Engine& engine, const Workload& workload, int64_t chunk) {
  const LengthDistribution& lengths = workload.lengths;
  MIAO_CHECK_OK(check_context(engine, lengths.max()));
  LatencyReport out;
  out.lengths = lengths.name();
  out.threads = engine.pool().threads();
  out.mean_length = lengths.mean();
  out.samples = workload.samples;
  out.batch = workload.batch;
  Rng rng(workload.seed);
  Herd herd(engine, workload.batch, rng, workload.stop);
  const auto one = [&](int64_t length) -> Result<double> {
    auto seconds = herd.feed(std::vector<int64_t>{length}, Want::last);
    herd.truncate(0);
    return seconds;
  };
  MIAO_CHECK_OK(one(lengths.max()));

  // Points spread evenly over the ratio of lengths, ends included; rounds in turn, so that a slow spell hits them all.
  constexpr int kPoints = 12;
  std::vector<int64_t> grid;
  const double low = static_cast<double>(lengths.min());
  const double ratio = static_cast<double>(std::max(lengths.max(), lengths.min() + 1)) / low;
  for (int i = 0; i < kPoints; ++i) {
    const auto n = std::llround(low * std::pow(ratio, static_cast<double>(i) / (kPoints - 1)));
    if (n <= engine.ctx() && (grid.empty() || n > grid.back())) grid.push_back(n);
  }
  if (grid.size() == 1) grid.insert(grid.begin(), std::max<int64_t>(1, grid[0] / 2));
  std::vector<std::vector<double>> times(grid.size());
  for (int rep = 0; rep < workload.reps; ++rep) {
    for (size_t i = 0; i < grid.size(); ++i) {
      MIAO_TRY(const double seconds, one(grid[i]));
      times[i].push_back(seconds);
    }
  }
  for (size_t i = 0; i < grid.size(); ++i) out.points.push_back({grid[i], median(times[i])});
  const bool chunks = lengths.max() > chunk;
  MIAO_TRY(out.tau, fit_latency(out.points, chunks ? chunk : 0));
  out.predicted = lengths.expected(out.tau);

  std::vector<int64_t> drawn;
  std::vector<double> seconds;
  for (int i = 0; i < workload.samples; ++i) {
    drawn.push_back(lengths.draw(rng));
    MIAO_TRY(const double s, one(drawn.back()));
    seconds.push_back(s);
  }
  out.measured = mean(seconds);
  out.measured_ci = bootstrap(seconds, mean);

  std::vector<double> passes;
  double inputs = 0, total = 0;
  for (size_t i = 0; i < drawn.size(); i += static_cast<size_t>(workload.batch)) {
    const size_t end = std::min(drawn.size(), i + static_cast<size_t>(workload.batch));
    const auto at = [&](size_t k) { return drawn.begin() + static_cast<std::ptrdiff_t>(k); };
    MIAO_TRY(const double s, herd.feed(std::vector<int64_t>(at(i), at(end)), Want::last));
    herd.truncate(0);
    passes.push_back(s);
    inputs += static_cast<double>(end - i);
    total += s;
  }
  out.batch_seconds = mean(passes);
  out.batch_inputs_per_second = inputs / total;
  return out;
}

}  // namespace miao::measure
