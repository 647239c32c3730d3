// See seq2seq_bench.h.
#include "measure/seq2seq_bench.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "measure/herd.h"
#include "models/spec.h"
#include "runtime/beam_search.h"
#include "runtime/seq2seq.h"

namespace miao::measure {

using runtime::BeamInput;
using runtime::BeamOptions;
using runtime::EncoderInput;
using runtime::Engine;
using runtime::Rng;
using runtime::Sequence;

namespace {

struct Times {
  double encode = 0, search = 0;  // seconds
};

Result<void> check_case(const Engine& engine, const Seq2SeqCase& what) {
  if (what.prompt > engine.input_ctx()) {
    return Error{Code::invalid,
                 fmt::format("inputs of {} tokens are too long: this model reads {}", what.prompt, engine.input_ctx()),
                 "bench"};
  }
  MIAO_CHECK_OK(engine.check_memory(what.batch, what.prompt));  // keys and values of inputs are as large as of answers
  return check_room(engine, what.batch * what.beams, what.gen);
}

Result<Times> run_once(Engine& engine, std::span<const EncoderInput> inputs, int32_t start, const BeamOptions& search,
                       const std::atomic<bool>* stop) {
  if (stop && *stop) return Error{Code::cancelled, "interrupted", "bench"};
  const double begun = now_seconds();
  MIAO_TRY(const std::vector<Sequence> memory, engine.encode(inputs, stop));
  const double read = now_seconds();
  std::vector<BeamInput> starts;
  for (const Sequence& of_input : memory) starts.push_back({.memory = &of_input, .prefix = {start}});
  MIAO_TRY(const auto answers, runtime::beam_search(engine, starts, search, {}, stop));
  const double done = now_seconds();
  for (const auto& best : answers) MIAO_CHECK(static_cast<int64_t>(best.at(0).tokens.size()) == search.max_tokens);
  return Times{read - begun, done - read};
}

}  // namespace

std::string search_name(const Seq2SeqCase& what) {
  const std::string search = what.beams == 1 ? "greedy" : fmt::format("beam {}", what.beams);
  return fmt::format("{} to {} tokens, {}", what.prompt, what.gen, search);
}

std::string name_of(const Seq2SeqRow& row) {
  return fmt::format("{}, batch {}", search_name(row.what), row.what.batch);
}

double Seq2SeqRow::written() const {
  return static_cast<double>(what.batch * what.gen) * static_cast<double>(search_seconds.size());
}

Result<Seq2SeqRow> bench_seq2seq(Engine& engine, const Seq2SeqCase& what, const BenchOptions& options) {
  MIAO_TRY(const runtime::Seq2SeqOptions defaults, runtime::seq2seq_defaults(engine));
  MIAO_CHECK_OK(check_case(engine, what));
  Rng rng(options.seed);
  std::vector<std::vector<int32_t>> ids;
  std::vector<EncoderInput> inputs;
  for (int64_t i = 0; i < what.batch; ++i) ids.push_back(random_tokens(rng, what.prompt, engine.spec().encoder->vocab));
  for (const auto& of_input : ids) inputs.push_back({.ids = of_input});
  const BeamOptions search{.beams = what.beams, .max_tokens = what.gen};  // without ends

  Seq2SeqRow row{.what = what, .threads = engine.pool().threads()};
  std::vector<double> whole;
  for (int rep = -1; rep < options.reps; ++rep) {  // the first does not count
    if (rep == 0) engine.profile(options.profile);
    MIAO_TRY(const Times times, run_once(engine, inputs, defaults.start, search, options.stop));
    if (rep < 0) continue;
    row.encode_seconds.push_back(times.encode);
    row.search_seconds.push_back(times.search);
    whole.push_back(times.encode + times.search);
  }
  if (options.profile) row.profile = engine.profile();
  engine.profile(false);
  row.encode_tok_s = rates(what.batch * what.prompt, row.encode_seconds);
  row.written_tok_s = rates(what.batch * what.gen, row.search_seconds);
  row.latency_p50_ms = 1e3 * quantile(whole, 0.5);
  row.latency_p90_ms = 1e3 * quantile(whole, 0.9);
  row.peak_rss = static_cast<int64_t>(peak_rss_bytes());
  return row;
}

}  // namespace miao::measure
