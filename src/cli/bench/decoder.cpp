// miao bench of a model that generates: prefill and decode of every combination of the flags.
#include <fmt/format.h>

#include <algorithm>

#include "cli/bench/measure.h"
#include "cli/interrupt.h"
#include "models/spec.h"

namespace miao::cli {

namespace {

std::vector<measure::BenchCase> cases_of(const BenchFlags& o, const std::vector<int64_t>& batches) {
  std::vector<measure::BenchCase> out;
  for (int64_t batch : batches) {
    for (int64_t depth : or_default(o.depths, {0})) {
      for (int64_t prompt : or_default(o.prompts, {512})) {
        for (int64_t gen : or_default(o.gens, {128})) {
          if (prompt > 0 || gen > 0) out.push_back({.prompt = prompt, .gen = gen, .batch = batch, .depth = depth});
        }
      }
    }
  }
  return out;
}

}  // namespace

Result<void> measure_decoder(const BenchFlags& o, const Common& common, const std::filesystem::path& path,
                             measure::BenchReport& report) {
  runtime::EngineOptions options = o.engine.options();
  options.isa = o.isa;
  const std::vector<int64_t> batches = or_default(o.batches, {1});
  const std::vector<measure::BenchCase> cases = cases_of(o, batches);
  int64_t needed = 0;
  for (const auto& c : cases) needed = std::max(needed, c.ctx());
  if (options.ctx == 0 && needed > 4096) options.ctx = needed;  // more than the engine's own choice
  for (int count : or_default(o.threads, {0})) {
    options.threads = count;
    measure::reset_peak_rss();
    MIAO_TRY(const auto engine, open_engine(path, options));
    if (o.engine.ctx == 0 && needed > engine->spec().ctx) {
      return Error{
          Code::invalid,
          fmt::format("needs {} positions, but the model was made for {}; shorten --prompt, --gen or --depth, or "
                      "force it with --ctx",
                      needed, engine->spec().ctx),
          "bench"};
    }
    std::optional<measure::Workload> workload;
    if (!o.lengths.empty()) {
      MIAO_TRY(workload, workload_of(o, batches, engine->tokenizer(), engine->ctx()));
    }
    if (report.family.empty()) {
      report.family = engine->spec().family;
      report.isa = engine->isa();
      report.kv = kernels::kv_format(engine->kv_type()).name;
      report.load_seconds = engine->load_seconds();
      report.kernels = engine->kernels();
    }
    const size_t first = report.rows.size();
    for (const measure::BenchCase& c : cases) {
      if (interrupted()) return Error{Code::cancelled, "interrupted", "bench"};
      const Doing doing(common, fmt::format("prompt {}, gen {}, batch {}, depth {}, {} threads", c.prompt, c.gen,
                                            c.batch, c.depth, engine->pool().threads()));
      MIAO_TRY(auto row, measure::bench(*engine, c, bench_options(o)));
      report.rows.push_back(std::move(row));
    }
    MIAO_TRY(const measure::Limits limits, measure::measure_limits(engine->pool(), engine->kernels()));
    for (measure::BenchRow& row : std::span(report.rows).subspan(first))
      row.roofline = measure::roofline(*engine, limits, row, o.engine.chunk);
    if (workload) {
      MIAO_TRY(auto latency, measure::bench_latency(*engine, *workload, o.engine.chunk));
      report.latency.push_back(std::move(latency));
    }
    report.memory = engine->memory();
  }
  return {};
}

}  // namespace miao::cli
