// Speeds of an encoder-decoder: the table, written tokens over the batch for each kind of search, and where time goes.
#include <fmt/format.h>

#include <algorithm>

#include "measure/page.h"
#include "measure/sections.h"

namespace miao::measure {

namespace {

constexpr size_t kColours = 4;  // more lines are not told apart

std::string speed_table(const BenchReport& report) {
  std::vector<std::vector<Cell>> rows;
  for (const Seq2SeqRow& row : report.seq2seqs) {
    std::vector<Cell> cells;
    for (const int64_t setting :
         {row.what.prompt, row.what.gen, row.what.batch, row.what.beams, static_cast<int64_t>(row.threads)})
      cells.push_back(number(std::to_string(setting)));
    for (const Spread& speed : {row.encode_tok_s, row.written_tok_s})
      cells.push_back(
          number(fmt::format("{:.1f}", speed.median), fmt::format("{:.1f} to {:.1f}", speed.min, speed.max)));
    for (const double ms : {row.latency_p50_ms, row.latency_p90_ms}) cells.push_back(number(fmt::format("{:.2f}", ms)));
    cells.push_back(number(fmt::format("{:.0f}", static_cast<double>(row.peak_rss) / 1e6)));
    rows.push_back(std::move(cells));
  }
  std::vector<Cell> head;
  for (const char* name : {"prompt", "gen", "batch", "beams", "threads", "encode tokens/s", "written tokens/s",
                           "latency p50 ms", "p90 ms", "peak memory MB"})
    head.push_back(number(name));
  return table(head, rows);
}

// A line for each kind of search that ran with several batches.
std::string sweep(const BenchReport& report) {
  Chart chart{.title = "Speed over the batch",
              .description = "Medians of the repetitions; whiskers reach from the slowest to the fastest.",
              .x_label = "inputs searched together",
              .y_label = "written tokens a second",
              .series = {},
              .whole_x = true};
  const int threads = report.seq2seqs[0].threads;
  const bool several = std::ranges::any_of(report.seq2seqs, [&](const auto& r) { return r.threads != threads; });
  for (const Seq2SeqRow& row : report.seq2seqs) {
    const std::string name = search_name(row.what) + (several ? fmt::format(", {} threads", row.threads) : "");
    const Spread& s = row.written_tok_s;
    series_of(chart, name, Mark::linked)
        .points.push_back({.x = static_cast<double>(row.what.batch), .y = s.median, .low = s.min, .high = s.max});
  }
  std::erase_if(chart.series, [](const Series& s) { return s.points.size() < 2; });  // no line
  if (chart.series.size() > kColours) chart.series.resize(kColours);
  for (Series& s : chart.series) std::ranges::sort(s.points, {}, &Point::x);
  return chart.series.empty() ? "" : figure(chart);
}

}  // namespace

std::string seq2seq_section(const BenchReport& report) {
  std::string out = "<h2>Speed</h2>\n" + speed_table(report);
  out +=
      "<p class=\"muted\">Speeds are medians, below them the slowest and the fastest repetition. Written tokens are "
      "those of the answers, not of all beams; the latency is that of the whole batch, from its inputs to its "
      "answers.</p>\n";
  std::string profiles;
  for (const Seq2SeqRow& row : report.seq2seqs) profiles += profile_table(name_of(row), row.profile, row.written());
  return out + side_by_side(sweep(report)) + side_by_side(profiles);
}

}  // namespace miao::measure
