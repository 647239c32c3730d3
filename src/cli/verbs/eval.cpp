// miao eval: quality of a model, by itself or against a base, with intervals and verdicts.
#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "cli/checks.h"
#include "cli/date.h"
#include "cli/eval/eval.h"
#include "cli/output.h"
#include "cli/version.h"

namespace miao::cli {

extern const Verb verb_eval;

namespace {

struct Kind {
  const char* flag;
  std::string EvalFlags::*file;
  Evaluate evaluate;
};
constexpr Kind kKinds[] = {
    {"--text", &EvalFlags::text, eval_text},       {"--choices", &EvalFlags::choices, eval_choices},
    {"--labels", &EvalFlags::labels, eval_labels}, {"--texts", &EvalFlags::texts, eval_texts},
    {"--pairs", &EvalFlags::pairs, eval_pairs},    {"--speech", &EvalFlags::speech, eval_speech},
};

Result<int> run(const EvalFlags& o, const Common& common) {
  const auto given = [&](const Kind& kind) { return !(o.*kind.file).empty(); };
  const Kind* const kind = std::ranges::find_if(kKinds, given);
  std::string flags;
  for (const Kind& k : kKinds) flags += (flags.empty() ? "" : ", ") + std::string(k.flag);
  if (kind == std::end(kKinds)) return usage_error(verb_eval, "there is nothing to measure on; give one of " + flags);
  if (std::ranges::count_if(kKinds, given) > 1) return usage_error(verb_eval, "one measurement at a time: " + flags);
  if (!o.texts.empty() && o.against.empty())
    return usage_error(verb_eval, "--texts compares vectors with those of a base; name one with --against");
  if (!o.max_loss.empty() && o.against.empty())
    return usage_error(verb_eval, "--max-loss is about a loss against a base; name one with --against");
  std::vector<measure::Budget> budgets;
  for (const std::string& text : o.max_loss) {
    MIAO_TRY(auto budget, measure::parse_budget(text));  // was checked as a flag
    budgets.push_back(std::move(budget));
  }
  if (!o.html.empty()) MIAO_CHECK_OK(replaceable(o.html));
  measure::QualityReport report{.version = kVersion, .date = utc_now(), .command = o.command()};
  const std::string& file = o.*kind->file;
  report.data.name = file == "-" ? "standard input" : file;
  MIAO_TRY(const std::string data, read_input(file, size_t{1} << 30));
  if (data.empty()) return Error{Code::invalid, "is empty", report.data.name};
  MIAO_CHECK_OK(check_text(data, report.data.name));
  report.data.sha256 = sha256_hex(data);
  report.data.bytes = static_cast<int64_t>(data.size());
  EvalPaths paths;
  MIAO_TRY(paths.model, find_model(o.model, common));
  if (!o.against.empty()) {
    MIAO_TRY(paths.base, find_model({o.against, o.model.offline}, common));
  }
  report.machine = measure::describe_machine();
  MIAO_CHECK_OK(kind->evaluate(o, common, paths, data, report));
  MIAO_CHECK_OK(judge(report.quality, budgets));
  if (common.json) {
    out().line(dump_json(measure::to_json(report)));
  } else {
    out().write(quality_text(report));
  }
  if (!o.html.empty()) MIAO_CHECK_OK(write_file_atomic(o.html, measure::to_html(report)));
  return static_cast<int>(report.quality.outcome() == measure::Outcome::passes ? kOk : kOverBudget);
}

CLI::Validator budget_check() {
  return {[](std::string& text) {
            const auto budget = measure::parse_budget(text);
            return budget.ok() ? std::string() : budget.error().message;
          },
          ""};
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<EvalFlags>();
  add_model_argument(app, o->model);
  app.add_option("--text", o->text, "A text: how likely a decoder finds it; - is standard input")
      ->type_name("FILE")
      ->check(not_empty());
  const auto file = [&](const char* flag, std::string& value, const char* help) {
    app.add_option(flag, value, help)->type_name("FILE")->check(not_empty());
  };
  file("--choices", o->choices,
       "Questions with choices: a decoder's likeliest choice. A line is {\"prompt\" or \"question\", \"choices\", "
       "\"answer\"}, or prompt, answer and choices between tabs");
  file("--labels", o->labels,
       "Texts with labels: accuracy of a classifier. A line is {\"text\", \"label\"}, or both with a tab between");
  file("--texts", o->texts, "A text a line: how near an encoder's vectors are to the base's");
  file("--pairs", o->pairs,
       "Pairs of texts with scores: rank correlation of an encoder's cosines. A line is {\"text1\", \"text2\", "
       "\"score\"}, or the three between tabs");
  file("--speech", o->speech,
       "Recordings: word error rate. A line is {\"audio\", \"text\"}, or both with a tab between");
  app.add_option("--near", o->near, "Of --texts: how many of the nearest texts are compared")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->type_name("N");
  app.add_option("--language", o->language, "Of --speech: code or English name; unset = as the model hears it")
      ->check(not_empty());
  app.add_option("--chunks", o->chunks, "The first so many windows of the text; 0 = all")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N");
  app.add_option("--against", o->against, "A base to compare with: the same items go through both")
      ->type_name("MODEL")
      ->check(not_empty());
  app.add_option("--base-dtype", o->base_dtype, "How the base computes, as --dtype of the model")
      ->check(CLI::IsMember(dtype_names()))
      ->type_name("TYPE");
  app.add_option("--base-kv", o->base_kv, "Keys and values of the base, as --kv of the model")
      ->check(CLI::IsMember(kv_names()))
      ->type_name("TYPE");
  app.add_option("--max-loss", o->max_loss,
                 "A budget: METRIC:VALUE with a metric of " + measure::loss_metrics() +
                     "; or a share alone, of what is measured first. May be given several times")
      ->check(budget_check())
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("BUDGET");
  app.add_option("--level", o->level, "Confidence of intervals and verdicts, in per cent")
      ->check(number_within(51, 99.99, "a number from 51 to 99.99"))
      ->type_name("PERCENT");
  app.add_option("--html", o->html, "Also write a page with charts")->type_name("FILE");
  add_engine_flags(app, o->engine);
  app.get_option("--ctx")->description(
      "Tokens of a window of --text (0 = 512), else the most that an input may have (0 = the model's own)");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_eval = {
    .name = "eval",
    .group = "Use models",
    .summary = "Measure the quality of a model, by itself or against a base",
    .details =
        "With --text, windows of --ctx tokens stand side by side, each begins with the begin token where the tokenizer "
        "has one, and the second half is scored, as llama-perplexity does. With --against the same tokens go through "
        "the base, and the whole distributions are compared: KL divergence, likeliest tokens, probabilities.\n\n"
        "Items of the other kinds stand one a line, as objects (JSON Lines) or between tabs. A question is asked as "
        "'Question: ...' and 'Answer:', a prompt stands as it is; \"answer\" is a place from 0, a text or a letter.\n\n"
        "Intervals come from resampling what is independent (windows, not tokens), in pairs, or are exact. A budget is "
        "kept when the "
        "one-sided upper bound of the loss is below it: then the verdict is 'passes'. 'not shown' means that only the "
        "loss itself is, and how much more data it would take; 'fails' that not even the loss is. The exit code is 4 "
        "unless all budgets pass.",
    .examples =
        "miao eval smollm2 --text prose.txt                                  # perplexity\n"
        "miao eval q4.gguf --against f16.gguf --text prose.txt               # what quantising it costs\n"
        "miao eval q4.gguf --against f16.gguf --text prose.txt --max-loss ppl:2%,kld:0.05 --html r.html\n"
        "miao eval q4.gguf --against f16.gguf --choices arc.jsonl --max-loss accuracy:1%\n"
        "miao eval minilm --dtype int8 --against minilm --texts reviews.txt --max-loss overlap:5%\n"
        "miao eval whisper-base --speech recordings.tsv --language en       # word error rate\n"
        "miao eval smollm2 --against smollm2 --base-dtype fp32 --text prose.txt --json   # what fast kernels cost\n"
        "miao eval q4.gguf --kv int4 --against q4.gguf --text prose.txt --ctx 2048          # what coded keys cost",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
