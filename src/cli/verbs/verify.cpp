// miao verify: whether a model file is still what was written.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/json.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "compress/verify.h"

namespace miao::cli {

extern const Verb verb_verify;

namespace {

using compress::VerifyReport;

struct Options {
  ModelArgument model;
  int threads = 0;
  bool fast = false;
};

const char* canary_word(VerifyReport::Canary canary) {
  switch (canary) {
    case VerifyReport::Canary::same:
      return "same";
    case VerifyReport::Canary::differs:
      return "differs";
    case VerifyReport::Canary::skipped:
      return "skipped";
    case VerifyReport::Canary::absent:
      break;
  }
  return "absent";
}

void print(const VerifyReport& r, const std::string& path) {
  const Style style(STDOUT_FILENO);
  out().line(fmt::format("{}{}", printable(path), r.writer.empty() ? "" : ", written by " + printable(r.writer)));
  if (r.checked > 0) {
    out().line(fmt::format("  tensors  {} of {} as they were written ({})",
                           r.checked - static_cast<int64_t>(r.damaged.size()), r.checked, human_bytes(r.bytes)));
  } else {
    out().line("  tensors  no checksums in this file");
  }
  for (const std::string& name : r.damaged) out().line("           " + style.red("damaged: " + printable(name)));
  switch (r.canary) {
    case VerifyReport::Canary::same:
      out().line("  canary   computes what it computed when it was written, bit for bit");
      break;
    case VerifyReport::Canary::differs:
      out().line("  canary   " + style.red("computes something else than when it was written") +
                 ": its metadata is damaged, or this miao computes otherwise than " + printable(r.writer));
      break;
    case VerifyReport::Canary::skipped:
      out().line("  canary   not looked at (--fast)");
      break;
    case VerifyReport::Canary::absent:
      out().line(r.damaged.empty() ? "  canary   none in this file"
                                   : "  canary   not looked at: the weights are damaged");
  }
  if (!r.anything()) out().line("Nothing to check: only files that miao wrote tell what they should hold.");
}

Result<int> run(const Options& o, const Common& common) {
  MIAO_TRY(const auto path, find_model(o.model, common));
  ProgressBar bar(common.quiet || common.json);
  compress::VerifyOptions options{.canary = !o.fast, .threads = o.threads, .progress = {}, .cancel = &interrupted()};
  options.progress = [&](uint64_t done, uint64_t total) { bar.update("checksums", done, total); };
  MIAO_TRY(const VerifyReport report, compress::verify_file(path, options));
  bar.end();
  if (common.json) {
    out().line(dump_json(Json{{"file", path.string()},
                              {"good", report.good()},
                              {"writer", report.writer},
                              {"tensors", report.tensors},
                              {"checked", report.checked},
                              {"damaged", report.damaged},
                              {"canary", canary_word(report.canary)}}));
  } else {
    print(report, path.string());
  }
  return report.good() ? kOk : kFailed;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  app.add_option("-t,--threads", o->threads, "Threads; 0 = what the machine allows")->check(CLI::Range(0, 1024));
  app.add_flag("--fast", o->fast, "Checksums alone: the model is not run");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_verify = {
    .name = "verify",
    .group = "Compress",
    .summary = "Check that a model file is what was written",
    .details =
        "Files that miao writes hold the SHA-256 of each tensor, and a canary: some token ids and a digest of what the "
        "model computed from them. Both are checked; results of miao are the same bits on every machine, so the canary "
        "also tells whether this one computes what the writer's did. Exit code 0 only when something was checked and "
        "all "
        "of it is right.",
    .examples =
        "miao verify small.gguf\n"
        "miao verify small.gguf --fast --json",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
