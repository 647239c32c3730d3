// miao bench: speeds of a model against the limits of the machine, latency over a workload, speeds of single kernels.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/bench_text.h"
#include "cli/checks.h"
#include "cli/engine_flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "cli/version.h"
#include "measure/kernel_bench.h"
#include "measure/report.h"
#include "models/spec.h"

namespace miao::cli {

extern const Verb verb_bench;

namespace {

constexpr int64_t kMaxLength = 1 << 20;  // of --lengths

struct Options {
  ModelArgument model;
  std::vector<int64_t> prompts{512}, gens{128}, batches{1}, depths{0};
  std::vector<int> threads;
  int reps = 5, samples = 100;
  uint64_t seed = 1;
  bool profile = false, markdown = false, kernels = false;
  std::string lengths, html, isa;
  EngineFlags engine;
};

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char buffer[32];
  return {buffer, std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M UTC", &parts)};
}

// The lengths of the lines of a file in tokens, or a distribution by name.
Result<measure::LengthDistribution> lengths_of(const std::string& text, const runtime::Engine& engine) {
  if (!text.starts_with("file:")) return measure::LengthDistribution::parse(text, engine.ctx());
  MIAO_TRY(const prep::Tokenizer* const tokenizer, engine.tokenizer());
  MIAO_TRY(const std::string lines, read_file(text.substr(5), size_t{256} << 20));
  std::vector<int64_t> lengths;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    MIAO_TRY(const auto ids, tokenizer->encode(std::string_view(lines).substr(begin, end - begin)));
    if (!ids.empty()) lengths.push_back(static_cast<int64_t>(ids.size()));
    begin = end + 1;
  }
  return measure::LengthDistribution::of(std::move(lengths), engine.ctx(), text);
}

Result<int> run_kernels(const Options& o, const Common& common) {
  exit_on_interrupt();
  const bool chosen = !o.threads.empty() && o.threads[0] != 0;
  MIAO_TRY(const auto pool, ThreadPool::create(chosen ? o.threads[0] : cpu_limits().threads()));
  const auto row_text = [](const measure::KernelRow& r) {
    return fmt::format("{:<8}{:<8}{:<24}{:>8.1f} GB/s   {:<24}{:>9.1f} GOPS", r.isa, r.format, r.gemv,
                       r.gemv_bytes_per_second / 1e9, r.gemm, r.gemm_ops_per_second / 1e9);
  };
  const auto show = [&](const measure::KernelRow& row) {
    if (common.json) return;
    out().line(row_text(row));
    (void)out().flush();
  };
  MIAO_TRY(const auto rows, measure::bench_kernels(*pool, o.isa, 0.2, show));
  if (common.json) {
    out().line(
        dump_json({{"schema", measure::kSchema}, {"threads", pool->threads()}, {"kernels", measure::to_json(rows)}}));
  }
  return static_cast<int>(kOk);
}

Result<measure::BenchReport> measure_all(const Options& o, const Common& common) {
  measure::BenchReport report;
  report.version = kVersion;
  report.date = utc_now();
  report.machine = measure::describe_machine();
  runtime::EngineOptions options = o.engine.options();
  options.isa = o.isa;
  const std::vector<int> threads = o.threads.empty() ? std::vector<int>{0} : o.threads;
  std::vector<measure::BenchCase> cases;
  for (int64_t batch : o.batches) {
    for (int64_t depth : o.depths) {
      for (int64_t prompt : o.prompts) {
        for (int64_t gen : o.gens) {
          if (prompt > 0 || gen > 0) cases.push_back({.prompt = prompt, .gen = gen, .batch = batch, .depth = depth});
        }
      }
    }
  }
  int64_t needed = 0;
  for (const auto& c : cases) needed = std::max(needed, c.ctx());
  if (options.ctx == 0 && needed > 4096) options.ctx = needed;  // more than the engine's own choice
  for (int count : threads) {
    options.threads = count;
    measure::reset_peak_rss();
    MIAO_TRY(const auto engine, open_engine(o.model, options, common));
    if (o.engine.ctx == 0 && needed > engine->spec().ctx) {
      return Error{
          Code::invalid,
          fmt::format("needs {} positions, but the model was made for {}; shorten --prompt, --gen or --depth, or "
                      "force it with --ctx",
                      needed, engine->spec().ctx),
          "bench"};
    }
    std::optional<measure::LengthDistribution> lengths;
    if (!o.lengths.empty()) {
      MIAO_TRY(lengths, lengths_of(o.lengths, *engine));
    }
    if (report.family.empty()) {
      report.model = o.model.ref;
      report.family = engine->spec().family;
      report.isa = engine->isa();
      report.dtype = o.engine.dtype;
      report.kv = format(engine->kv_dtype()).name;
      report.load_seconds = engine->load_seconds();
      report.kernels = engine->kernels();
    }
    const measure::BenchOptions bench{.reps = o.reps, .seed = o.seed, .profile = o.profile, .stop = &interrupted()};
    const size_t first = report.rows.size();
    for (const measure::BenchCase& c : cases) {
      if (interrupted()) return Error{Code::cancelled, "interrupted", "bench"};
      if (!common.quiet && is_tty(2)) {
        fmt::print(stderr, "\r\033[Kprompt {}, gen {}, batch {}, depth {}, {} threads", c.prompt, c.gen, c.batch,
                   c.depth, engine->pool().threads());
      }
      auto row = measure::bench(*engine, c, bench);
      if (!common.quiet && is_tty(2)) fmt::print(stderr, "\r\033[K");
      if (!row.ok()) return row.error();
      report.rows.push_back(std::move(*row));
    }
    MIAO_TRY(const measure::Limits limits, measure::measure_limits(*engine));
    for (measure::BenchRow& row : std::span(report.rows).subspan(first))
      row.roofline = measure::roofline(*engine, limits, row, o.engine.chunk);
    if (lengths) {
      measure::Workload workload{.lengths = std::move(*lengths),
                                 .samples = o.samples,
                                 .batch = o.batches[0],
                                 .reps = o.reps,
                                 .seed = o.seed,
                                 .stop = &interrupted()};
      MIAO_TRY(auto latency, measure::bench_latency(*engine, workload, o.engine.chunk));
      report.latency.push_back(std::move(latency));
    }
    report.memory = engine->memory();
  }
  return report;
}

Result<int> run(const Options& o, const Common& common) {
  if (o.kernels && (o.markdown || !o.html.empty()))
    return usage_error(verb_bench, "--kernels prints lines or --json, no --markdown or --html");
  if (o.kernels) return run_kernels(o, common);
  if (o.model.ref.empty()) return usage_error(verb_bench, "give a model, or --kernels");
  const auto none = [](const std::vector<int64_t>& values) {
    return std::ranges::all_of(values, [](auto v) { return v == 0; });
  };
  if (o.lengths.empty() && none(o.prompts) && none(o.gens))
    return usage_error(verb_bench, "nothing to measure: --prompt and --gen are 0, and there are no --lengths");
  if (!o.lengths.empty() && o.batches.size() > 1) return usage_error(verb_bench, "--lengths takes one --batch size");
  if (common.json && o.markdown)
    return usage_error(verb_bench, "--json and --markdown are two ways to print; take one");
  if (!o.html.empty()) MIAO_CHECK_OK(replaceable(o.html));
  MIAO_TRY(const measure::BenchReport report, measure_all(o, common));
  for (const std::string& warning : measure::warnings(report)) log_warn(warning);
  if (common.json) {
    out().line(dump_json(measure::to_json(report)));
  } else if (o.markdown) {
    out().write(measure::to_markdown(report));
  } else {
    out().write((report.rows.empty() ? "" : speed_table(report) + "\n") + kernel_table(report));
    if (o.profile) {
      for (const measure::BenchRow& row : report.rows) out().write(profile_table(row));
    }
    for (const measure::LatencyReport& latency : report.latency) out().write("\n" + latency_text(latency));
  }
  if (!o.html.empty()) MIAO_CHECK_OK(write_file_atomic(o.html, measure::to_html(report)));
  return static_cast<int>(kOk);
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  app.get_option("model")->required(false);
  const auto list = [&](const char* names, auto& values, int64_t least, const char* help) {
    app.add_option(names, values, help)
        ->delimiter(',')
        ->check(CLI::Range(least, int64_t{1} << 24))
        ->allow_extra_args(false);
  };
  list("-p,--prompt", o->prompts, 0, "Tokens of the prompt; 0 = no prefill. Lists as 64,512 give a row for each value");
  list("-n,--gen", o->gens, 0, "Tokens to decode; 0 = no decoding");
  list("-b,--batch", o->batches, 1, "Sequences that run together");
  list("-d,--depth", o->depths, 0, "Positions of context before the measured part");
  list("-t,--threads", o->threads, 0, "Threads; 0 = the cores that this machine or container allows");
  app.add_option("-r,--reps", o->reps, "Repetitions, behind one that does not count")->check(CLI::Range(1, 10000));
  auto* const lengths = app.add_option(
      "--lengths", o->lengths,
      "Also the latency over inputs of such lengths: uniform:A:B, poisson:L or file:PATH (a text on each line)");
  lengths->check(CLI::Validator(
      [](std::string& text) {
        if (text.starts_with("file:") && text.size() > 5) return std::string();
        const auto read = measure::LengthDistribution::parse(text, kMaxLength);
        return read.ok() ? std::string() : "'" + text + "': " + read.error().message;
      },
      ""));
  app.add_option("--samples", o->samples, "Inputs drawn from --lengths; rounded up to whole batches")
      ->needs(lengths)
      ->check(CLI::Range(1, 1000000));
  app.add_option("--seed", o->seed, "Of the random tokens and lengths")->check(whole_number());
  app.add_flag("--profile", o->profile, "Time of each kind of step");
  app.add_flag("--kernels", o->kernels, "Speed of each matrix kernel by itself; needs no model");
  app.add_option("--isa", o->isa, "Kernels to use: scalar, avx2, avx512 or amx; unset = MIAO_ISA, else the best")
      ->check(CLI::IsMember({"scalar", "avx2", "avx512", "amx"}));
  app.add_flag("--markdown", o->markdown, "Print a Markdown table");
  app.add_option("--html", o->html, "Also write a page with charts")->type_name("FILE");
  add_engine_flags(app, o->engine, false);
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_bench = {
    .name = "bench",
    .group = "Use models",
    .summary = "Measure speed against the limits of this machine",
    .details =
        "Prefill runs one prompt of random tokens, decode one token at a time from an empty context (or behind "
        "--depth positions), as llama-bench does. Speeds are medians with the slowest and fastest repetition. "
        "'of bandwidth' compares the bytes that decoding reads with what memory gives, 'of peak' the arithmetic of "
        "prefill with what the processor does, both measured here.\n\n"
        "With --lengths the latency of one input is fitted as a function tau(n) of its length, and the expected "
        "latency "
        "that this predicts for the distribution stands beside that of inputs drawn from it.",
    .examples =
        "miao bench smollm2                                     # prompt 512, gen 128\n"
        "miao bench model.gguf -p 0 -n 64 -d 0,1024 -b 1,16     # decode, alone and in a batch, short and deep\n"
        "miao bench model.gguf -n 0 -p 0 --lengths uniform:16:128 --html report.html\n"
        "miao bench --kernels                                   # every format on every instruction set",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
