// Speeds of the rows: the table, speed over the setting that was varied, the time of each token, and where time goes.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "measure/page.h"
#include "measure/sections.h"

namespace miao::measure {

namespace {

struct Setting {
  std::string_view name;  // short, and along an axis
  const char* axis;
  int64_t (*get)(const BenchRow&);
};
constexpr Setting kSettings[] = {
    {"prompt", "tokens of the prompt", [](const BenchRow& r) { return r.what.prompt; }},
    {"gen", "decoded tokens", [](const BenchRow& r) { return r.what.gen; }},
    {"batch", "sequences in the batch", [](const BenchRow& r) { return r.what.batch; }},
    {"depth", "positions before the first token", [](const BenchRow& r) { return r.what.depth; }},
    {"threads", "threads", [](const BenchRow& r) { return static_cast<int64_t>(r.threads); }}};

bool differs(const BenchReport& report, const Setting& setting) {
  return std::ranges::any_of(report.rows,
                             [&](const BenchRow& r) { return setting.get(r) != setting.get(report.rows[0]); });
}

std::string speed_table(const BenchReport& report) {
  std::vector<std::vector<Cell>> rows;
  for (const BenchRow& row : report.rows) {
    const bool prefill = !row.prefill_seconds.empty(), decode = !row.decode_seconds.empty();
    const auto speed = [](bool there, const Spread& v) {
      if (!there) return number("-");
      return number(fmt::format("{:.1f}", v.median), fmt::format("{:.1f} to {:.1f}", v.min, v.max));
    };
    std::vector<Cell> cells;
    for (const Setting& setting : kSettings) cells.push_back(number(std::to_string(setting.get(row))));
    const auto add = [&](bool there, const std::string& text) { cells.push_back(number(there ? text : "-")); };
    cells.push_back(speed(prefill, row.prefill_tok_s));
    add(prefill, fmt::format("{:.0f} %", 100 * row.roofline.prefill.share));
    cells.push_back(speed(decode, row.decode_tok_s));
    add(decode, fmt::format("{:.0f} %", 100 * row.roofline.decode.share));
    add(prefill, fmt::format("{:.1f}", row.ttft_ms));
    for (double ms : {row.itl_p50_ms, row.itl_p95_ms, row.itl_p99_ms}) add(decode, fmt::format("{:.2f}", ms));
    add(true, fmt::format("{:.0f}", static_cast<double>(row.peak_rss) / 1e6));
    rows.push_back(std::move(cells));
  }
  std::vector<Cell> head;
  for (const char* name :
       {"prompt", "gen", "batch", "depth", "threads", "prefill tokens/s", "of peak", "decode tokens/s", "of bandwidth",
        "first token ms", "token p50 ms", "p95 ms", "p99 ms", "peak memory MB"})
    head.push_back(number(name));
  return table(head, rows);
}

// Speed over the setting with the most values; the others make lines.
std::string sweep(const BenchReport& report, bool prefill) {
  const std::string_view other = prefill ? "gen" : "prompt";  // of the phase that is not shown
  const Setting* best = nullptr;
  size_t most = 1;
  for (const Setting& setting : kSettings) {
    if (setting.name == other) continue;
    std::vector<int64_t> values;
    for (const BenchRow& row : report.rows) values.push_back(setting.get(row));
    std::ranges::sort(values);
    const auto count = static_cast<size_t>(std::unique(values.begin(), values.end()) - values.begin());
    if (count > most) best = &setting, most = count;
  }
  if (!best) return {};
  std::map<std::string, std::map<double, Point>> lines;
  std::vector<std::string> order;
  double low = 1e18, high = 0;
  for (const BenchRow& row : report.rows) {
    const Spread& s = prefill ? row.prefill_tok_s : row.decode_tok_s;
    if (s.median <= 0) continue;
    const std::string name = what_differs(report, row, {other, best->name});
    if (!lines.contains(name)) order.push_back(name);
    const double x = static_cast<double>(best->get(row));
    low = std::min(low, x), high = std::max(high, x);
    lines[name].emplace(x, Point{.x = x, .y = s.median, .low = s.min, .high = s.max});
  }
  Chart chart{.title = prefill ? "Prefill speed" : "Decode speed",
              .description = "Medians of the repetitions; whiskers reach from the slowest to the fastest.",
              .x_label = best->axis,
              .y_label = "tokens a second",
              .series = {},
              .whole_x = true,
              .log_x = low > 0 && high >= 8 * low};
  for (size_t i = 0; i < order.size() && i < 4; ++i) {  // more than four are not told apart by colour
    Series series{.name = order[i].empty() ? chart.title : order[i], .points = {}, .colour = static_cast<int>(i) + 1};
    for (const auto& [x, point] : lines[order[i]]) series.points.push_back(point);
    chart.series.push_back(std::move(series));
  }
  return chart.series.empty() ? "" : figure(chart);
}

// Token latencies of each kind of row in the order they were measured (the repetitions one behind the other).
std::string step_chart(const BenchReport& report) {
  Chart chart{
      .title = "Time of each token while decoding",
      .description = "Steps in the order they were measured. Peaks are interruptions, slopes a growing context.",
      .x_label = "step (all repetitions)",
      .y_label = "ms",
      .series = {}};
  for (const BenchRow& row : report.rows) {
    std::string name = what_differs(report, row, {"prompt"});
    if (name.empty()) name = "decode";
    const auto same = [&](const Series& s) { return s.name == name; };
    if (row.step_seconds.empty() || std::ranges::any_of(chart.series, same) || chart.series.size() == 4) continue;
    Series series{
        .name = std::move(name), .points = {}, .mark = Mark::line, .colour = static_cast<int>(chart.series.size()) + 1};
    const size_t stride = row.step_seconds.size() / 2000 + 1;  // a page stays small
    for (size_t i = 0; i < row.step_seconds.size(); i += stride)
      series.points.push_back({.x = static_cast<double>(i), .y = 1e3 * row.step_seconds[i]});
    chart.series.push_back(std::move(series));
  }
  return chart.series.empty() ? "" : figure(chart);
}

std::string profile_tables(const BenchRow& row) {
  const double batch = static_cast<double>(row.what.batch);
  const double prompts = static_cast<double>(row.what.prompt) * static_cast<double>(row.prefill_seconds.size());
  return side_by_side(
      profile_table("Prefill", row.prefill_profile, batch * prompts) +
      profile_table("Decode", row.decode_profile, batch * static_cast<double>(row.step_seconds.size())));
}

}  // namespace

std::string what_differs(const BenchReport& report, const BenchRow& row, std::initializer_list<std::string_view> but) {
  std::string out;
  for (const Setting& setting : kSettings) {
    if (std::ranges::find(but, setting.name) != but.end() || !differs(report, setting)) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", setting.name, setting.get(row));
  }
  return out;
}

std::string speed_section(const BenchReport& report) {
  std::string out = "<h2>Speed</h2>\n" + speed_table(report);
  out +=
      "<p class=\"muted\">Speeds are medians, below them the slowest and the fastest repetition; the limits that "
      "shares are of stand in the next section. Token times are those between two tokens of one sequence.</p>\n";
  out += side_by_side(sweep(report, true) + sweep(report, false) + step_chart(report));
  if (report.rows.size() == 1) out += profile_tables(report.rows[0]);
  return out;
}

}  // namespace miao::measure
