// See eval.h: what all kinds share.
#include "cli/eval/eval.h"

#include <fmt/format.h>

#include "base/process.h"
#include "base/sha256.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "io/checkpoint.h"
#include "models/spec.h"

namespace miao::cli {

runtime::EngineOptions EvalFlags::base_options() const {
  EngineFlags flags = engine;
  flags.dtype = base_dtype;
  flags.kv = base_kv;
  return flags.options();
}

std::string EvalFlags::command() const {
  std::string out = "miao eval " + shell_quoted(model.ref);
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) out += fmt::format(" {} {}", flag, shell_quoted(value));
  };
  add("--text", text);
  add("--choices", choices);
  add("--labels", labels);
  add("--texts", texts);
  add("--pairs", pairs);
  add("--speech", speech);
  add("--against", against);
  if (engine.ctx > 0) add("--ctx", std::to_string(engine.ctx));
  if (chunks > 0) add("--chunks", std::to_string(chunks));
  if (near != 10) add("--near", std::to_string(near));
  add("--language", language);
  if (engine.dtype != "auto") add("--dtype", engine.dtype);
  if (base_dtype != "auto") add("--base-dtype", base_dtype);
  add("--kv", engine.kv);
  add("--base-kv", base_kv);
  for (const std::string& budget : max_loss) add("--max-loss", budget);
  if (level != 95) add("--level", fmt::format("{:g}", level));
  return out;
}

Measuring::Measuring(const Common& common, std::string name, const std::string& unit)
    : bar_(common.quiet, " " + unit + "s"), name_(std::move(name)) {}

measure::QualityRun Measuring::run() {
  return {.stop = &interrupted(), .progress = [this](int64_t done, int64_t total) {
            bar_.update(name_, static_cast<uint64_t>(done), static_cast<uint64_t>(total));
          }};
}

std::string quality_text(const measure::QualityReport& report) {
  const measure::Quality& q = report.quality;
  const Style style(1);
  std::string out = style.bold(printable(report.model.model));
  if (report.base) out += " against " + style.bold(printable(report.base->model));
  out += fmt::format(", {} kernels\n{}\n\n", report.model.isa, q.count());
  Table table({{""}, {"value", true}, {fmt::format("{:g} %", 100 * q.level), true}});
  for (const measure::Metric& m : q.metrics) {
    table.add({m.label, shown(m, m.value), m.ci ? shown(m, m.ci->low) + " to " + shown(m, m.ci->high) : "-"});
  }
  out += table.str();
  for (const measure::Verdict& v : q.verdicts) {
    const std::string line = sentence(q, v);
    out += "\n" + (v.outcome == measure::Outcome::passes ? style.bold(line) : style.red(line));
  }
  if (!q.verdicts.empty()) out += '\n';
  return out;
}

}  // namespace miao::cli
