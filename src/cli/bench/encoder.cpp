// miao bench of a model that embeds or classifies: random inputs of every combination of the flags, then the texts.
#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "cli/bench/measure.h"
#include "cli/encode/texts.h"
#include "cli/interrupt.h"
#include "models/spec.h"
#include "runtime/encoder.h"

namespace miao::cli {

namespace {

runtime::EncoderOptions options_of(const BenchFlags& o) {
  const runtime::EngineOptions flags = o.engine.options();
  runtime::EncoderOptions out;
  out.compute = flags.compute;
  out.ctx = flags.ctx;
  out.isa = o.isa;
  out.packs = flags.packs;
  out.cancel = flags.cancel;
  return out;
}

std::vector<measure::EncodeCase> cases_of(const BenchFlags& o, const std::vector<int64_t>& batches) {
  std::vector<measure::EncodeCase> out;
  for (const int64_t batch : batches) {
    for (const int64_t tokens : or_default(o.prompts, {24, 128})) {
      if (tokens > 0) out.push_back({.tokens = tokens, .batch = batch});
    }
  }
  return out;
}

}  // namespace

Result<void> measure_encoder(const BenchFlags& o, const Common& common, const std::filesystem::path& path,
                             measure::BenchReport& report) {
  runtime::EncoderOptions options = options_of(o);
  const std::vector<int64_t> batches = or_default(o.batches, {1, 32});
  std::vector<std::string> texts;
  if (!o.texts.empty()) {
    MIAO_TRY(const std::string lines, read_file(o.texts, size_t{256} << 20));
    texts = lines_of(lines);
  }
  for (const int count : or_default(o.threads, {0})) {
    options.threads = count;
    measure::reset_peak_rss();
    MIAO_TRY(const auto encoder, runtime::Encoder::open(path, options));
    std::optional<measure::Workload> workload;
    if (!o.lengths.empty()) {
      MIAO_TRY(workload, workload_of(o, batches, encoder->tokenizer(), encoder->ctx()));
    }
    if (report.family.empty()) {
      report.family = encoder->spec().family;
      report.isa = encoder->isa();
      report.load_seconds = encoder->load_seconds();
      report.kernels = encoder->kernels();
    }
    const size_t first = report.encodes.size();
    for (const measure::EncodeCase& c : cases_of(o, batches)) {
      const Doing doing(common,
                        fmt::format("{} tokens, batch {}, {} threads", c.tokens, c.batch, encoder->pool().threads()));
      MIAO_TRY(auto row, measure::bench_encode(*encoder, c, bench_options(o)));
      report.encodes.push_back(std::move(row));
    }
    for (const int64_t batch : o.texts.empty() ? std::vector<int64_t>{} : batches) {
      const std::string name = std::filesystem::path(o.texts).filename().string();
      const Doing doing(common, fmt::format("{}, batch {}, {} threads", name, batch, encoder->pool().threads()));
      MIAO_TRY(auto row, measure::bench_texts(*encoder, texts, name, batch, bench_options(o)));
      report.encodes.push_back(std::move(row));
    }
    const int64_t chunk = std::max<int64_t>(options.batch, encoder->ctx());
    MIAO_TRY(const measure::Limits limits, measure::measure_limits(encoder->pool(), encoder->kernels()));
    for (measure::EncodeRow& row : std::span(report.encodes).subspan(first))
      measure::compare_with(limits, *encoder, chunk, row);
    if (workload) {
      MIAO_TRY(auto latency, measure::bench_latency(*encoder, *workload, chunk));
      report.latency.push_back(std::move(latency));
    }
    report.memory = encoder->memory();
  }
  return {};
}

}  // namespace miao::cli
