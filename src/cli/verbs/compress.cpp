// miao compress: the smallest or fastest model that keeps budgets.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "cli/checks.h"
#include "cli/date.h"
#include "cli/engine_flags.h"
#include "cli/interrupt.h"
#include "cli/lengths.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "cli/version.h"
#include "compress/compress.h"
#include "compress/compress_report.h"
#include "compress/measurements.h"
#include "compress/rounding.h"

namespace miao::cli {

extern const Verb verb_compress;

namespace {

struct Options {
  ModelArgument model;
  std::string output, text, final_text, pairs, labels, speed, first, step, latency, size, memory, time_budget;
  std::string lengths, choices, evaluate, evaluate_timeout = "1h";
  bool lower = false;
  std::vector<std::string> max_loss, types, kv;
  double level = 95;
  std::optional<int64_t> prompt;
  int64_t gen = 128, batch = 1, near = 10;
  int tries = 5, threads = 0;
  uint64_t seed = 1;
  bool fresh = false;
};

Result<compress::Budgets> budgets_of(const Options& o) {
  compress::Budgets out;
  for (const std::string& text : o.max_loss) {
    auto one = measure::parse_budget(text);
    if (!one.ok()) return std::move(one.error()).at("--max-loss");
    const bool counted = !o.choices.empty() || !o.labels.empty();
    auto known = compress::check_metric(one->metric, counted, !o.evaluate.empty());
    if (!known.ok()) return std::move(known.error()).at("--max-loss");
    out.losses.push_back(std::move(*one));
  }
  const auto number = [](const char* flag, const std::string& text, auto parse,
                         std::optional<double>& value) -> Result<void> {
    if (text.empty()) return {};
    auto parsed = parse(text);
    if (!parsed.ok()) return std::move(parsed.error()).at(flag);
    value = *parsed;
    return {};
  };
  MIAO_CHECK_OK(number("--min-speed", o.speed, compress::parse_speed, out.speed));
  MIAO_CHECK_OK(number("--max-ttft", o.first, compress::parse_seconds, out.first));
  MIAO_CHECK_OK(number("--max-token", o.step, compress::parse_seconds, out.step));
  MIAO_CHECK_OK(number("--max-latency", o.latency, compress::parse_seconds, out.request));
  MIAO_CHECK_OK(number("--max-memory", o.memory, compress::parse_bytes, out.memory));
  if (!o.size.empty()) {
    auto size = compress::parse_size(o.size, out);
    if (!size.ok()) return std::move(size.error()).at("--max-size");
  }
  return out;
}

// What was measured goes on living in the cache; a search works without it too.
std::optional<compress::Measurements> open_store(const Options& o) {
  if (o.fresh) return std::nullopt;
  auto store = compress::Measurements::open(compress::store_file(measure::cache_folder()));
  if (store.ok()) return std::move(*store);
  log_warn(store.error().str() + "; nothing that is measured is kept for the next run");
  return std::nullopt;
}

Result<std::string> text_of(const std::string& file) {
  if (file.empty()) return std::string();
  MIAO_TRY(std::string text, read_input(file, size_t{1} << 30));
  const std::string name = file == "-" ? "standard input" : file;
  if (text.empty()) return Error{Code::invalid, "is empty", name};
  MIAO_CHECK_OK(check_text(text, name));
  return text;
}

std::string command_of(const Options& o) {
  std::string out = "miao compress " + shell_quoted(o.model.ref) + " -o " + shell_quoted(o.output);
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) out += fmt::format(" {} {}", flag, shell_quoted(value));
  };
  for (const std::string& budget : o.max_loss) add("--max-loss", budget);
  add("--min-speed", o.speed);
  add("--max-size", o.size);
  add("--max-memory", o.memory);
  add("--max-ttft", o.first);
  add("--max-token", o.step);
  add("--max-latency", o.latency);
  if (o.prompt) out += fmt::format(" --prompt {}", *o.prompt);
  out += fmt::format(" --gen {} --batch {}", o.gen, o.batch);
  add("--lengths", o.lengths);
  add("--text", o.text);
  add("--pairs", o.pairs);
  add("--labels", o.labels);
  if (o.near != 10) out += fmt::format(" --near {}", o.near);
  add("--final-text", o.final_text);
  add("--choices", o.choices);
  add("--evaluate", o.evaluate);
  if (o.lower) out += " --evaluate-lower";
  if (!o.evaluate.empty() && o.evaluate_timeout != "1h") add("--evaluate-timeout", o.evaluate_timeout);
  for (const std::string& type : o.types) add("--types", type);
  for (const std::string& type : o.kv) add("--kv", type);
  out += fmt::format(" --level {:g} --tries {} --seed {}", o.level, o.tries, o.seed);
  add("--time-budget", o.time_budget);
  if (o.threads > 0) out += fmt::format(" --threads {}", o.threads);
  return out;
}

Result<int> run(const Options& o, const Common& common) {
  if (o.output.empty()) return usage_error(verb_compress, "say where the model goes: -o FOLDER");
  const auto budgets = budgets_of(o);
  if (!budgets.ok()) return usage_error(verb_compress, budgets.error().str());
  if (!budgets->any()) {
    return usage_error(verb_compress,
                       "there is no budget to keep; give one, such as --max-loss 1% (of perplexity), --min-speed 2x or "
                       "--max-size 40%");
  }
  compress::CompressOptions options{.budgets = *budgets,
                                    .request = {o.prompt.value_or(512), o.gen, o.batch, {}},
                                    .near = o.near,
                                    .tokens = o.prompt,
                                    .level = o.level / 100,
                                    .tries = o.tries,
                                    .seed = o.seed,
                                    .threads = o.threads,
                                    .writer = std::string("miao ") + kVersion,
                                    .cancel = &interrupted()};
  for (const std::string& name : o.types) {
    const auto type = dtype_from_name(name);
    if (!type || !compress::can_encode(*type))
      return usage_error(verb_compress, "--types: '" + name + "' is no type of weights");
    options.types.push_back(*type);
  }
  for (const std::string& name : o.kv) options.kv.push_back(*kernels::kv_from_name(name));
  if (!o.time_budget.empty()) {
    const auto seconds = compress::parse_seconds(o.time_budget);
    if (!seconds.ok()) return usage_error(verb_compress, "--time-budget: " + seconds.error().message);
    options.seconds = *seconds;
  }
  const auto timeout = compress::parse_seconds(o.evaluate_timeout);
  if (!timeout.ok()) return usage_error(verb_compress, "--evaluate-timeout: " + timeout.error().message);
  if (o.lower && o.evaluate.empty()) return usage_error(verb_compress, "--evaluate-lower goes with --evaluate");
  if (!o.evaluate.empty()) {
    options.evaluate = compress::evaluation_by({o.evaluate, *timeout, options.cancel});
    options.evaluate_name = o.evaluate;
    options.evaluate_kept = true;
    options.evaluate_lower = o.lower;
  }
  MIAO_TRY(options.text, text_of(o.text));
  MIAO_TRY(options.final_text, text_of(o.final_text));
  for (const std::string& file : {o.labels, o.pairs, o.text}) {
    if (!file.empty()) options.text_name = file == "-" ? "standard input" : file;
  }
  if (!o.pairs.empty()) {
    MIAO_TRY(const std::string pairs, text_of(o.pairs));
    MIAO_TRY(options.pairs, measure::parse_pairs(pairs, o.pairs));
  }
  if (!o.labels.empty()) {
    MIAO_TRY(const std::string labels, text_of(o.labels));
    MIAO_TRY(options.labels, measure::parse_labelled(labels, o.labels));
  }
  if (!o.choices.empty()) {
    MIAO_TRY(const std::string questions, text_of(o.choices));
    options.questions_name = o.choices == "-" ? "standard input" : o.choices;
    MIAO_TRY(options.questions, measure::parse_questions(questions, options.questions_name));
  }
  MIAO_TRY(const auto path, find_model(o.model, common));
  if (!o.lengths.empty()) {
    Result<prep::Tokenizer> tokenizer = Error{Code::invalid, "needs no tokenizer", {}};
    if (o.lengths.starts_with("file:")) tokenizer = load_tokenizer(path);
    MIAO_TRY(options.lengths,
             lengths_of(o.lengths, tokenizer.ok() ? Result<const prep::Tokenizer*>(&*tokenizer) : tokenizer.error(),
                        kMaxLength));
  }
  auto store = open_store(o);
  if (store) options.store = &*store;
  ProgressBar bar(common.quiet || common.json, "done");
  options.progress = [&](std::string_view what, uint64_t done, uint64_t total) { bar.update(what, done, total); };
  options.note = [&](const std::string& line) {
    bar.end();
    if (common.quiet || common.json) return;
    Output notes(STDERR_FILENO);
    notes.line(line);
    (void)notes.flush();
  };
  MIAO_TRY(const compress::CompressReport report, compress::compress(path, o.output, options));
  bar.end();
  const compress::ReportContext context{
      .version = kVersion, .date = utc_now(), .command = command_of(o), .machine = measure::describe_machine()};
  MIAO_CHECK_OK(compress::write_reports(o.output, report, context, options));
  if (common.json) {
    out().line(dump_json(to_json(report, context)));
  } else {
    out().write(to_text(report));
  }
  return static_cast<int>(report.kept ? kOk : kUnmet);
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  app.add_option("-o,--output", o->output,
                 "The folder to write: model.gguf, report.html, report.md, report.json, reproduce.sh")
      ->type_name("FOLDER");
  const auto text = [&](const char* flag, std::string& value, const char* type, const std::string& help) {
    return app.add_option(flag, value, help)->type_name(type)->check(not_empty());
  };
  app.add_option("--max-loss", o->max_loss,
                 "Lose at most: 1% (of perplexity; of encoders see below), ppl:1%, kld:0.02, top1:3%, accuracy:1% (of "
                 "--choices or --labels), cosine:0.1%, overlap:1%, spearman:0.5%, evaluate:1% or evaluate:0.02 (of "
                 "--evaluate). May be given several times")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("BUDGET");
  text("--min-speed", o->speed, "FACTOR", "A request is at least so many times as fast: 2x");
  text("--max-size", o->size, "SIZE", "The file has at most: 60MB, 40%");
  text("--max-memory", o->memory, "SIZE", "Running takes at most: 500MB");
  text("--max-ttft", o->first, "TIME", "The first token comes within: 200ms");
  text("--max-token", o->step, "TIME", "Each further token within: 10ms");
  text("--max-latency", o->latency, "TIME", "A whole request within: 2s");
  app.add_option("-p,--prompt", o->prompt,
                 "A request: tokens that are read; unset = 512, of an encoder as many as its texts have")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20));
  app.add_option("-n,--gen", o->gen, "A request: tokens that are written")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20));
  app.add_option("-b,--batch", o->batch, "Requests side by side; of an encoder, texts of a request")
      ->check(CLI::Range(1, 1024));
  app.add_option("--lengths", o->lengths,
                 "Lengths of inputs, over which the report tells the expected latency of base and result: uniform:A:B, "
                 "poisson:L or file:PATH (a text on each line); unset = uniform up to a request's")
      ->check(length_distribution());
  text("--text", o->text, "FILE",
       "What the model should stay good at, of an encoder a text a line; - is standard input. Without it, a decoder "
       "writes text by itself");
  text("--final-text", o->final_text, "FILE", "Another text for the final figures, instead of a part of --text");
  text("--pairs", o->pairs, "FILE", "Of an encoder that gives vectors: pairs of texts with people's scores (spearman)");
  text("--labels", o->labels, "FILE", "Of one that classifies: labelled texts (accuracy, flips, kld)");
  app.add_option("--near", o->near, "Nearest texts that are looked for among others (overlap)")
      ->check(CLI::Range(1, 1000));
  text("--choices", o->choices, "FILE",
       "Questions with choices, as miao eval takes them: for accuracy:1%. Two of five judge candidates, the others the "
       "one that is chosen");
  text("--evaluate", o->evaluate, "COMMAND",
       "Prints a number of a model, last: for evaluate:1% (of the number) or evaluate:0.02. {} is the model's file, "
       "which "
       "otherwise comes last; MIAO_MODEL is it too");
  app.add_flag("--evaluate-lower", o->lower, "Of --evaluate: lower is better");
  text("--evaluate-timeout", o->evaluate_timeout, "TIME",
       "Of --evaluate: a run that takes longer has failed; unset = 1h");
  app.add_option("--types", o->types, "Types to choose from; unset = all that are worth it")
      ->delimiter(',')
      ->type_name("TYPE");
  app.add_option("--kv", o->kv,
                 "Types of keys and values to choose from, of decoders; unset = f16, int8, int4. The file says which "
                 "one it is, and miao runs it so")
      ->delimiter(',')
      ->check(CLI::IsMember(kv_names()))
      ->type_name("TYPE");
  app.add_option("--level", o->level, "Confidence of bounds, in per cent")
      ->check(number_within(51, 99.99, "a number from 51 to 99.99"))
      ->type_name("PERCENT");
  app.add_option("--tries", o->tries, "Candidates that are built and measured at most")->check(CLI::Range(1, 100));
  text("--time-budget", o->time_budget, "TIME", "After so long no further candidate is begun: 15min");
  app.add_option("--seed", o->seed, "Of all that is drawn")->check(whole_number());
  app.add_flag("--fresh", o->fresh, "Measure all anew, and keep nothing for the next run");
  app.add_option("-t,--threads", o->threads, "Threads; 0 = what the machine allows")->check(CLI::Range(0, 1024));
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_compress = {
    .name = "compress",
    .group = "Compress",
    .summary = "Find and write the smallest or fastest model that keeps budgets",
    .details =
        "Measures what each matrix loses in each type, on text, and what each type takes on this machine, for requests "
        "of --prompt and --gen tokens; solves for the best mix; builds it with GPTQ; and measures it beside the model "
        "as it is, on text that the search has not seen. A loss budget is kept when the upper confidence bound lies "
        "below it. With a loss budget the fastest model that keeps it is looked for, else the one with the least loss "
        "within the others.\n\n"
        "Encoders are compared with themselves by their vectors of --text, a text a line (cosine, what an unnamed "
        "budget "
        "is about; overlap: whether the nearest texts stay the same), and by --pairs (spearman), which comes first "
        "where "
        "it is given; classifiers by --labels (accuracy, flips, kld). A request is --batch texts that are encoded "
        "together. The file formats are those of miao eval.\n\n"
        "A metric of your own is a command that prints a number: --evaluate 'python score.py {}' with --max-loss "
        "evaluate:1%. It runs once for the model as it is and once for each candidate; what it printed is kept by the "
        "command's words, so --fresh is for a script that changed. One number has no interval: it is judged as it was "
        "printed, and the report says so.\n\n"
        "What is measured is kept, so that a second run is quick and an interrupted one goes on. The exit code is 3 "
        "where no model was found to keep all budgets; nearest.gguf is then the nearest, and model.gguf is not there.",
    .examples =
        "miao compress model-f16.gguf -o small --max-loss 1% --text notes.txt\n"
        "miao compress model-f16.gguf -o small --max-loss 2% --min-speed 2x            # the model's own text\n"
        "miao compress model-f16.gguf -o small --max-size 40% --prompt 2000 --gen 50\n"
        "miao compress model-f16.gguf -o small --max-loss kld:0.02,top1:5% --time-budget 15min\n"
        "miao compress all-MiniLM-L6-v2 -o small --max-loss overlap:2% --text texts.txt --batch 32\n"
        "miao compress model-f16.gguf -o small --max-loss accuracy:2% --choices arc.jsonl\n"
        "miao compress model-f16.gguf -o small --max-loss evaluate:1% --evaluate 'python score.py {}'",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
