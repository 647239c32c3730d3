// miao bench: speeds of a model against the limits of the machine, latency over a workload, speeds of single kernels.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/bench/measure.h"
#include "cli/bench/text.h"
#include "cli/checks.h"
#include "cli/date.h"
#include "cli/interrupt.h"
#include "cli/lengths.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "cli/version.h"
#include "measure/kernel_bench.h"
#include "measure/report.h"
#include "models/spec.h"
#include "runtime/transcribe.h"

namespace miao::cli {

extern const Verb verb_bench;

namespace {

using Shape = models::ModelSpec::Shape;

Result<int> run_kernels(const BenchFlags& o, const Common& common) {
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

// Error of the usage: what a kind of model has no use for.
std::string misfit(const BenchFlags& o, Shape shape) {
  if (shape == Shape::encoder_decoder) {
    if (!o.depths.empty() || !o.texts.empty() || !o.lengths.empty())
      return "this model is an encoder-decoder: --depth, --texts and --lengths are for others";
    if (std::ranges::count(o.prompts, 0) + std::ranges::count(o.gens, 0) > 0)
      return "this model is an encoder-decoder: it reads and writes a token at least, --prompt and --gen begin at 1";
    return "";
  }
  if (!o.beams.empty()) return "--beams is for encoder-decoders, which this model is not";
  if (shape == Shape::decoder)
    return o.texts.empty() ? "" : "--texts is for encoders; --lengths file:PATH takes lengths from a file";
  if (!o.gens.empty() || !o.depths.empty()) return "this model is an encoder: --gen and --depth are for decoders";
  const bool random = o.prompts.empty() || std::ranges::any_of(o.prompts, [](auto n) { return n > 0; });
  if (!random && o.texts.empty() && o.lengths.empty())
    return "nothing to measure: --prompt is 0, and there are no --texts or --lengths";
  return "";
}

// What measures models of that shape. Errors: unsupported for those of speech, whose inputs are no tokens.
using Measure = decltype(&measure_decoder);
Result<Measure> measure_of(Shape shape, const std::filesystem::path& path) {
  if (shape == Shape::decoder) return &measure_decoder;
  if (shape == Shape::encoder) return &measure_encoder;
  MIAO_TRY(const bool speech, runtime::is_speech_model(path));
  if (speech) {
    return Error{Code::unsupported,
                 "turns speech into text, which bench does not measure; 'miao run MODEL FILE --json' times a recording",
                 path.string()};
  }
  return &measure_seq2seq;
}

Result<int> run(const BenchFlags& o, const Common& common) {
  if (o.kernels && (o.markdown || !o.html.empty()))
    return usage_error(verb_bench, "--kernels prints lines or --json, no --markdown or --html");
  if (o.kernels) return run_kernels(o, common);
  if (o.model.ref.empty()) return usage_error(verb_bench, "give a model, or --kernels");
  const auto none = [](const std::vector<int64_t>& values) {
    return !values.empty() && std::ranges::all_of(values, [](auto v) { return v == 0; });
  };
  if (o.lengths.empty() && none(o.prompts) && none(o.gens))
    return usage_error(verb_bench, "nothing to measure: --prompt and --gen are 0, and there are no --lengths");
  if (!o.lengths.empty() && o.batches.size() > 1) return usage_error(verb_bench, "--lengths takes one --batch size");
  if (common.json && o.markdown)
    return usage_error(verb_bench, "--json and --markdown are two ways to print; take one");
  if (!o.html.empty()) MIAO_CHECK_OK(replaceable(o.html));
  MIAO_TRY(const std::filesystem::path path, find_model(o.model, common));
  MIAO_TRY(const Shape shape, runtime::model_shape(path));
  MIAO_TRY(const Measure measure_model, measure_of(shape, path));
  if (const std::string why = misfit(o, shape); !why.empty()) return usage_error(verb_bench, why);
  measure::BenchReport report;
  report.version = kVersion;
  report.date = utc_now();
  report.model = o.model.ref;
  report.dtype = o.engine.dtype;
  report.machine = measure::describe_machine();
  MIAO_CHECK_OK(measure_model(o, common, path, report));
  for (const std::string& warning : measure::warnings(report)) log_warn(warning);
  if (common.json) {
    out().line(dump_json(measure::to_json(report)));
  } else if (o.markdown) {
    out().write(measure::to_markdown(report));
  } else {
    out().write(speed_tables(report) + kernel_table(report));
    if (o.profile) out().write(profile_tables(report));
    for (const measure::LatencyReport& latency : report.latency) out().write("\n" + latency_text(latency));
  }
  if (!o.html.empty()) MIAO_CHECK_OK(write_file_atomic(o.html, measure::to_html(report)));
  return static_cast<int>(kOk);
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<BenchFlags>();
  add_model_argument(app, o->model);
  app.get_option("model")->required(false);
  const auto list = [&](const char* names, auto& values, int64_t least, const char* help, int64_t most = 1 << 24) {
    app.add_option(names, values, help)->delimiter(',')->check(CLI::Range(least, most))->allow_extra_args(false);
  };
  list("-p,--prompt", o->prompts, 0,
       "Tokens of the prompt, or of each input; 0 = none. Lists as 64,512 give a row for each value");
  list("-n,--gen", o->gens, 0, "Tokens to decode, or of each answer; 0 = no decoding");
  list("-b,--batch", o->batches, 1, "Sequences or inputs that run together");
  list("-d,--depth", o->depths, 0, "Positions of context before the measured part");
  list("--beams", o->beams, 1, "Beams of an encoder-decoder's search; 1 = greedy", 256);
  list("-t,--threads", o->threads, 0, "Threads; 0 = the cores that this machine or container allows");
  app.add_option("-r,--reps", o->reps, "Repetitions, behind one that does not count")->check(CLI::Range(1, 10000));
  auto* const lengths = app.add_option(
      "--lengths", o->lengths,
      "Also the latency over inputs of such lengths: uniform:A:B, poisson:L or file:PATH (a text on each line)");
  lengths->check(length_distribution());
  app.add_option("--texts", o->texts, "Also the speed of an encoder over a file with a text on each line")
      ->type_name("FILE");
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
        "An encoder runs --batch inputs of --prompt random tokens at once (24 and 128 tokens, alone and 32 together, "
        "unless flags say otherwise), and with --texts the lines of a file, from the longest to the shortest, with "
        "tokenising and without. Times are those of a pass, a call with one batch.\n\n"
        "An encoder-decoder reads --batch inputs of --prompt random tokens and searches with --beams beams for answers "
        "of exactly --gen tokens (32, 32, alone and greedily, unless flags say otherwise). The latency is that of "
        "both.\n\n"
        "With --lengths the latency of one input is fitted as a function tau(n) of its length, and the expected "
        "latency "
        "that this predicts for the distribution stands beside that of inputs drawn from it.",
    .examples =
        "miao bench smollm2                                     # prompt 512, gen 128\n"
        "miao bench model.gguf -p 0 -n 64 -d 0,1024 -b 1,16     # decode, alone and in a batch, short and deep\n"
        "miao bench model.gguf -n 0 -p 0 --lengths uniform:16:128 --html report.html\n"
        "miao bench minilm --texts reviews.txt -b 32             # sentences/s of an encoder\n"
        "miao bench t5 --beams 1,4 -b 1,16                       # an encoder-decoder, greedy and with beams\n"
        "miao bench --kernels                                   # every format on every instruction set",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
