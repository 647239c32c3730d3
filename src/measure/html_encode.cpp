// Speeds of an encoder: the table, speed over the length of inputs for each batch, the time of each pass, and where
// time goes.
#include <fmt/format.h>

#include <algorithm>

#include "measure/page.h"
#include "measure/sections.h"

namespace miao::measure {

namespace {

constexpr size_t kColours = 4;  // more lines are not told apart

std::string speed_table(const BenchReport& report) {
  std::vector<std::vector<Cell>> rows;
  for (const EncodeRow& row : report.encodes) {
    const auto speed = [](const Spread& v) {
      return number(fmt::format("{:.1f}", v.median), fmt::format("{:.1f} to {:.1f}", v.min, v.max));
    };
    std::vector<Cell> cells = {{name_of(row)},
                               number(std::to_string(row.threads)),
                               speed(row.inputs_s),
                               number(fmt::format("{:.0f}", row.tok_s.median)),
                               number(fmt::format("{:.0f} %", 100 * row.load.share)),
                               row.texts.empty() ? number("-") : speed(row.whole_inputs_s)};
    for (const double ms : {row.pass_p50_ms, row.pass_p90_ms, row.pass_p99_ms})
      cells.push_back(number(fmt::format("{:.3f}", ms)));
    cells.push_back(number(fmt::format("{:.0f}", static_cast<double>(row.peak_rss) / 1e6)));
    rows.push_back(std::move(cells));
  }
  std::vector<Cell> head = {{"inputs"}};
  for (const char* name : {"threads", "inputs/s", "tokens/s", "of peak", "with tokenising, inputs/s", "pass p50 ms",
                           "p90 ms", "p99 ms", "peak memory MB"})
    head.push_back(number(name));
  return table(head, rows);
}

std::string threads_of(const BenchReport& report, const EncodeRow& row) {
  const auto differs = [&](const EncodeRow& r) { return r.threads != report.encodes[0].threads; };
  return std::ranges::any_of(report.encodes, differs) ? fmt::format(", {} threads", row.threads) : "";
}

// Rows of random inputs: a line for each batch.
std::string sweep(const BenchReport& report) {
  Chart chart{.title = "Speed over the length of inputs",
              .description = "Medians of the repetitions; whiskers reach from the slowest to the fastest.",
              .x_label = "tokens of an input",
              .y_label = "tokens a second",
              .series = {},
              .whole_x = true};
  for (const EncodeRow& row : report.encodes) {
    if (!row.texts.empty()) continue;
    Series& series = series_of(chart, fmt::format("batch {}{}", row.batch, threads_of(report, row)), Mark::linked);
    series.points.push_back(
        {.x = row.mean_tokens(), .y = row.tok_s.median, .low = row.tok_s.min, .high = row.tok_s.max});
  }
  std::erase_if(chart.series, [](const Series& s) { return s.points.size() < 2; });  // no line
  if (chart.series.size() > kColours) chart.series.resize(kColours);
  for (Series& s : chart.series) std::ranges::sort(s.points, {}, &Point::x);
  return chart.series.empty() ? "" : figure(chart);
}

std::string pass_chart(const BenchReport& report) {
  Chart chart{.title = "Time of each pass",
              .description = "Passes in the order they were measured. Peaks are interruptions.",
              .x_label = "pass (all repetitions)",
              .y_label = "ms",
              .series = {}};
  for (const EncodeRow& row : report.encodes) {
    if (chart.series.size() == kColours) break;
    Series& series = series_of(chart, name_of(row) + threads_of(report, row), Mark::line);
    const size_t stride = row.pass_seconds.size() / 2000 + 1;  // a page stays small
    for (size_t i = 0; i < row.pass_seconds.size(); i += stride)
      series.points.push_back({.x = static_cast<double>(i), .y = 1e3 * row.pass_seconds[i]});
  }
  return figure(chart);
}

}  // namespace

std::string encode_section(const BenchReport& report) {
  std::string out = "<h2>Speed</h2>\n" + speed_table(report);
  out +=
      "<p class=\"muted\">Speeds are medians, below them the slowest and the fastest repetition; the limits that "
      "shares are of stand in the next section. A pass is one call with a batch of inputs.</p>\n";
  out += side_by_side(sweep(report) + pass_chart(report));
  std::string profiles;
  for (const EncodeRow& row : report.encodes) {
    const double tokens = static_cast<double>(row.tokens) * static_cast<double>(row.seconds.size());
    profiles += profile_table(name_of(row), row.profile, tokens);
  }
  return out + side_by_side(profiles);
}

}  // namespace miao::measure
