// miao bench of an encoder-decoder: random inputs of every combination of the flags, and answers of a set length.
#include <fmt/format.h>

#include "cli/bench/measure.h"
#include "cli/interrupt.h"
#include "models/spec.h"

namespace miao::cli {

namespace {

std::vector<measure::Seq2SeqCase> cases_of(const BenchFlags& o) {
  const measure::Seq2SeqCase usual;
  std::vector<measure::Seq2SeqCase> out;
  for (const int64_t beams : or_default(o.beams, {usual.beams})) {
    for (const int64_t batch : or_default(o.batches, {usual.batch})) {
      for (const int64_t prompt : or_default(o.prompts, {usual.prompt})) {
        for (const int64_t gen : or_default(o.gens, {usual.gen}))
          out.push_back({.prompt = prompt, .gen = gen, .batch = batch, .beams = beams});
      }
    }
  }
  return out;
}

}  // namespace

Result<void> measure_seq2seq(const BenchFlags& o, const Common& common, const std::filesystem::path& path,
                             measure::BenchReport& report) {
  runtime::EngineOptions options = o.engine.options();
  options.isa = o.isa;
  for (const int count : or_default(o.threads, {0})) {
    options.threads = count;
    measure::reset_peak_rss();
    MIAO_TRY(const auto engine, open_engine(path, options));
    if (report.family.empty()) {
      report.family = engine->spec().family;
      report.isa = engine->isa();
      report.kv = kernels::kv_format(engine->kv_type()).name;
      report.load_seconds = engine->load_seconds();
      report.kernels = engine->kernels();
    }
    for (const measure::Seq2SeqCase& c : cases_of(o)) {
      const Doing doing(common,
                        fmt::format("{}, batch {}, {} threads", search_name(c), c.batch, engine->pool().threads()));
      MIAO_TRY(auto row, measure::bench_seq2seq(*engine, c, bench_options(o)));
      report.seq2seqs.push_back(std::move(row));
    }
    report.memory = engine->memory();
  }
  return {};
}

}  // namespace miao::cli
