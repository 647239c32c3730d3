// miao report: what searches came to, side by side.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/json.h"
#include "cli/date.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "cli/version.h"
#include "compress/comparison.h"
#include "measure/chart.h"

namespace miao::cli {

extern const Verb verb_report;

namespace {

using compress::Comparison;
using compress::Finding;

struct Options {
  std::vector<std::filesystem::path> searches;
  std::string output;
};

void print(const Comparison& c) {
  const Style style(STDOUT_FILENO);
  std::vector<Table::Column> columns{{"search"},      {"file", true},        {"of base", true}, {"speed", true},
                                     {"above", true}, {"first token", true}, {"each", true},    {"memory", true}};
  const Finding& first = c.findings.front();
  for (const measure::Metric& m : first.told) columns.push_back({m.key, true});
  columns.push_back({"budgets"});
  Table table(std::move(columns));
  const auto ms = [](double seconds) {
    return seconds > 0 ? measure::short_number(1e3 * seconds) + " ms" : std::string("-");
  };
  for (const Finding& f : c.findings) {
    std::vector<std::string> row{printable(f.name),
                                 human_bytes(static_cast<uint64_t>(f.own.bytes)),
                                 fmt::format("{:.2f}", f.own.bytes / f.base.bytes),
                                 fmt::format("{:.2f}x", f.speed),
                                 fmt::format("{:.2f}x", f.speed_low),
                                 ms(f.own.first),
                                 ms(f.own.step),
                                 human_bytes(static_cast<uint64_t>(f.own.memory))};
    for (const measure::Metric& wanted : first.told) {
      const auto own = std::ranges::find(f.told, wanted.key, &measure::Metric::key);
      row.push_back(own == f.told.end() ? "-" : shown(*own, own->value));
    }
    row.push_back(f.kept ? "kept" : "missed");
    table.add(std::move(row));
  }
  out().write(table.str());
  for (const Finding& f : c.findings) {
    for (const std::string& miss : f.misses) out().line(fmt::format("{}: {}", printable(f.name), printable(miss)));
    if (f.better >= 0) {
      out().line(fmt::format("{}: no better than {} in loss, size or time", printable(f.name),
                             printable(c.findings[static_cast<size_t>(f.better)].name)));
    }
  }
  for (const std::string& line : c.differences) out().line(style.red("not comparable") + "  " + printable(line));
}

Result<int> run(const Options& o, const Common& common) {
  MIAO_TRY(const Comparison comparison, compress::compare_searches(o.searches));
  if (!o.output.empty()) MIAO_CHECK_OK(write_file_atomic(o.output, to_html(comparison, kVersion, utc_now())));
  if (common.json) {
    out().line(dump_json(to_json(comparison)));
  } else {
    print(comparison);
  }
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  app.add_option("SEARCH", o->searches, "Folders that miao compress wrote, or their report.json")
      ->required()
      ->check(CLI::ExistingPath);
  app.add_option("-o,--output", o->output, "A page of HTML with charts")->type_name("FILE");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_report = {
    .name = "report",
    .group = "Compress",
    .summary = "Put what searches came to side by side",
    .details =
        "Reads the report.json of each folder that miao compress wrote: no model, text or measurement is needed, and "
        "the searches may come from other machines. Losses are the final ones, on text that the search did not see. "
        "Says where figures must not be held against each other (another base, text, request or machine), and which "
        "result is no better than another in loss, size or time. --output draws loss against size and speed.",
    .examples =
        "miao report small smaller smallest\n"
        "miao report searches/* -o report.html\n"
        "miao report small/report.json --json",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
