#include "measure/bench.h"

#include <cmath>

#include "base/cpu.h"
#include "measure/herd.h"
#include "measure/machine.h"

namespace miao::measure {

using runtime::Engine;
using runtime::Rng;
using runtime::Want;

Peak peak_of(std::span<const runtime::KernelReport> kernels, const Limits& limits) {
  bool integer = true, tiles = true;
  for (const auto& group : kernels) {
    if (group.weights == "lm_head") continue;
    integer = integer && group.integer;
    tiles = tiles && group.gemm.find("amx") != std::string::npos;
  }
  if (!integer) return {.ops = limits.fp32, .name = "FP32"};
  if (tiles && limits.amx > 0) return {.ops = limits.amx, .name = "AMX int8", .integer = true};
  return {.ops = limits.int8, .name = "vector int8", .integer = true};
}

Roofline roofline(const Engine& engine, const Limits& limits, const BenchRow& row, int64_t chunk) {
  Roofline out;
  out.limits = limits;
  double head = 0;  // bytes of the output matrix, which prefill reads once
  const std::vector<runtime::KernelReport> kernels = engine.kernels();
  for (const auto& group : kernels) {
    out.bytes_per_token += static_cast<double>(group.bytes);
    out.decode_ops_per_token += 2 * group.products;
    if (group.weights == "lm_head") {
      head = static_cast<double>(group.bytes);
    } else {
      out.prefill_ops_per_token += 2 * group.products;
    }
  }
  out.peak = peak_of(kernels, limits);
  const double batch = static_cast<double>(row.what.batch), depth = static_cast<double>(row.what.depth);
  const double kv_token = static_cast<double>(engine.memory().kv_per_token);
  if (row.decode_tok_s.median > 0) {
    const double kv = (depth + static_cast<double>(row.what.gen) / 2) * kv_token;
    const double bytes = out.bytes_per_token / batch + kv;  // a token
    out.decode = {.ops_per_byte = out.decode_ops_per_token / bytes,
                  .ops_per_second = out.decode_ops_per_token * row.decode_tok_s.median,
                  .share = bytes * row.decode_tok_s.median / limits.read};
  }
  if (row.prefill_tok_s.median > 0) {
    const double tokens = batch * static_cast<double>(row.what.prompt);
    const double chunks = std::ceil(tokens / static_cast<double>(chunk));
    const double kv = (depth + static_cast<double>(row.what.prompt)) * kv_token * batch;
    const double bytes = chunks * (out.bytes_per_token - head) + head + kv;
    out.prefill = {.ops_per_byte = out.prefill_ops_per_token * tokens / bytes,
                   .ops_per_second = out.prefill_ops_per_token * row.prefill_tok_s.median,
                   .share = out.prefill_ops_per_token * row.prefill_tok_s.median / out.peak.ops};
    if (out.peak.integer) out.vector_share = out.prefill.ops_per_second / limits.int8;
  }
  return out;
}

Result<Limits> measure_limits(ThreadPool& pool, std::span<const runtime::KernelReport> kernels) {
  Limits out;
  for (const auto& group : kernels) out.read_bytes += group.bytes;
  MIAO_TRY(out.read, read_bandwidth(pool, out.read_bytes, 0.5));
  const PeakPoint peaks = compute_peaks(pool, 0.15);
  out.fp32 = peaks.fp32;
  out.int8 = peaks.int8;
  out.amx = peaks.amx;
  return out;
}

Result<BenchRow> bench(Engine& engine, const BenchCase& what, const BenchOptions& options) {
  MIAO_CHECK_OK(check_room(engine, what.batch, what.ctx()));
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
  if (options.profile && what.prompt > 0) row.prefill_profile = engine.profile();
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
  if (options.profile && what.gen > 0) row.decode_profile = engine.profile();
  engine.profile(false);

  row.prefill_tok_s = rates(what.batch * what.prompt, row.prefill_seconds);
  row.decode_tok_s = rates(what.batch * what.gen, row.decode_seconds);
  if (!row.prefill_seconds.empty()) row.ttft_ms = 1e3 * median(row.prefill_seconds);
  if (!row.step_seconds.empty()) {
    row.itl_p50_ms = 1e3 * quantile(row.step_seconds, 0.5);
    row.itl_p95_ms = 1e3 * quantile(row.step_seconds, 0.95);
    row.itl_p99_ms = 1e3 * quantile(row.step_seconds, 0.99);
  }
  row.peak_rss = static_cast<int64_t>(peak_rss_bytes());
  return row;
}

}  // namespace miao::measure
