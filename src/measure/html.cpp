// The HTML form of a bench report: one page with its style inside; every chart is inline SVG (chart.h).
#include <fmt/format.h>

#include <algorithm>

#include "measure/chart.h"
#include "measure/report.h"

namespace miao::measure {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #1c1c1a; --muted: #5f5e58; --grid: #e2e1dc; --card: #ffffff;
  --warn: #8a5a00; --s1: #2a62c9; --s2: #c2542d; --s3: #2a8a5f; --s4: #8b4fb3; }
@media (prefers-color-scheme: dark) {
  :root { --page: #171716; --ink: #eceae4; --muted: #a3a19a; --grid: #3a3936; --card: #1f1f1d;
    --warn: #e6b656; --s1: #7aa5f5; --s2: #f0916b; --s3: #69c79b; --s4: #c79be8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.2rem 4rem; max-width: 64rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { margin: .3rem 0; }
.muted { color: var(--muted); }
.warn { color: var(--warn); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { font-weight: 600; color: var(--muted); white-space: normal; vertical-align: bottom; }
td small { display: block; color: var(--muted); }
td.n, th.n { text-align: right; padding: .3rem 0 .3rem .6rem; }
figure { margin: 1rem 0; padding: .8rem; background: var(--card); border: 1px solid var(--grid); border-radius: 8px; }
svg { width: 100%; height: auto; display: block; font-family: inherit; }
svg text { fill: var(--muted); font-size: 12px; }
svg text.title { fill: var(--ink); font-size: 14px; font-weight: 600; }
svg .grid { stroke: var(--grid); stroke-width: 1; }
)";

struct Cell {
  std::string text;
  bool number = false;
  std::string note = {};  // below, in small letters
};

std::string table(const std::vector<Cell>& head, const std::vector<std::vector<Cell>>& rows) {
  const auto line = [](const std::vector<Cell>& cells, const char* tag) {
    std::string out = "<tr>";
    for (const Cell& cell : cells) {
      const std::string note = cell.note.empty() ? "" : "<small>" + escape_html(cell.note) + "</small>";
      out += fmt::format("<{0}{1}>{2}{3}</{0}>", tag, cell.number ? " class=\"n\"" : "", escape_html(cell.text), note);
    }
    return out + "</tr>\n";
  };
  std::string out = "<div class=\"scroll\"><table>\n" + line(head, "th");
  for (const auto& row : rows) out += line(row, "td");
  return out + "</table></div>\n";
}

Cell number(std::string text, std::string note = {}) { return {std::move(text), true, std::move(note)}; }
std::string dash(bool there, std::string text) { return there ? std::move(text) : "-"; }

std::string speeds(const BenchReport& report) {
  std::vector<std::vector<Cell>> rows;
  for (const BenchRow& row : report.rows) {
    const bool prefill = !row.prefill_seconds.empty(), decode = !row.decode_seconds.empty();
    const auto speed = [](bool there, const Spread& v) {
      if (!there) return number("-");
      return number(fmt::format("{:.1f}", v.median), fmt::format("{:.1f} to {:.1f}", v.min, v.max));
    };
    rows.push_back({number(std::to_string(row.what.prompt)), number(std::to_string(row.what.gen)),
                    number(std::to_string(row.what.batch)), number(std::to_string(row.what.depth)),
                    number(std::to_string(row.threads)), speed(prefill, row.prefill_tok_s),
                    speed(decode, row.decode_tok_s), number(dash(prefill, fmt::format("{:.1f}", row.ttft_ms))),
                    number(dash(decode, fmt::format("{:.2f}", row.itl_p50_ms))),
                    number(dash(decode, fmt::format("{:.2f}", row.itl_p99_ms))),
                    number(dash(decode, fmt::format("{:.0f} %", 100 * row.roofline.decode_share))),
                    number(dash(prefill, fmt::format("{:.0f} %", 100 * row.roofline.prefill_share))),
                    number(fmt::format("{:.0f}", static_cast<double>(row.peak_rss) / 1e6))});
  }
  return table({number("prompt"), number("gen"), number("batch"), number("depth"), number("threads"),
                number("prefill tok/s"), number("decode tok/s"), number("first token ms"), number("token p50 ms"),
                number("p99 ms"), number("share of bandwidth"), number("share of peak"), number("memory MB")},
               rows);
}

std::string figure(const Chart& chart) { return "<figure>" + svg(chart) + "</figure>\n"; }

// The settings of decoding in which the rows differ: "batch 16, threads 2".
std::string what_differs(const BenchReport& report, const BenchRow& row) {
  std::string out;
  const auto add = [&](const char* name, auto get) {
    const auto same = [&](const BenchRow& other) { return get(other) == get(row); };
    if (std::all_of(report.rows.begin(), report.rows.end(), same)) return;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, get(row));
  };
  add("gen", [](const BenchRow& r) { return r.what.gen; });
  add("batch", [](const BenchRow& r) { return r.what.batch; });
  add("depth", [](const BenchRow& r) { return r.what.depth; });
  add("threads", [](const BenchRow& r) { return r.threads; });
  return out.empty() ? "all" : out;
}

// Token latencies of each kind of row in the order they were measured (the repetitions one behind the other).
std::string step_chart(const BenchReport& report) {
  Chart chart{
      .title = "Time of each token while decoding", .x_label = "step (all repetitions)", .y_label = "ms", .series = {}};
  for (const BenchRow& row : report.rows) {
    Series series{.name = what_differs(report, row), .points = {}, .dots = false};
    const auto same = [&](const Series& s) { return s.name == series.name; };
    const bool drawn = std::any_of(chart.series.begin(), chart.series.end(), same);
    if (row.step_seconds.empty() || drawn || chart.series.size() == 4) continue;
    const size_t stride = row.step_seconds.size() / 2000 + 1;  // a page stays small
    for (size_t i = 0; i < row.step_seconds.size(); i += stride) {
      series.points.emplace_back(static_cast<double>(i), 1e3 * row.step_seconds[i]);
    }
    chart.series.push_back(std::move(series));
  }
  return chart.series.empty() ? "" : figure(chart);
}

// Speed over the one setting that the rows vary most.
std::string sweep_chart(const BenchReport& report, bool prefill) {
  using Get = double (*)(const BenchRow&);
  struct Axis {
    const char* name;
    Get get;
  };
  const Axis axes[] = {
      {"threads", [](const BenchRow& r) { return static_cast<double>(r.threads); }},
      {"sequences in the batch", [](const BenchRow& r) { return static_cast<double>(r.what.batch); }},
      {"prompt tokens", [](const BenchRow& r) { return static_cast<double>(r.what.prompt); }},
      {"context before the first step", [](const BenchRow& r) { return static_cast<double>(r.what.depth); }}};
  for (const Axis& axis : axes) {
    Series series{.name = "median", .points = {}}, low{.name = "slowest", .points = {}, .line = false}, high = low;
    high.name = "fastest";
    for (const BenchRow& row : report.rows) {
      const Spread& s = prefill ? row.prefill_tok_s : row.decode_tok_s;
      if (s.median <= 0) continue;
      series.points.emplace_back(axis.get(row), s.median);
      low.points.emplace_back(axis.get(row), s.min);
      high.points.emplace_back(axis.get(row), s.max);
    }
    std::vector<double> xs;
    for (const auto& point : series.points) xs.push_back(point.first);
    std::sort(xs.begin(), xs.end());
    if (xs.size() < 2 || std::adjacent_find(xs.begin(), xs.end()) != xs.end()) continue;  // not what alone varies
    std::sort(series.points.begin(), series.points.end());
    return figure({.title = prefill ? "Prefill speed" : "Decode speed",
                   .x_label = axis.name,
                   .y_label = "tokens a second",
                   .series = {series, low, high}});
  }
  return {};
}

std::string profile_table(const BenchRow& row) {
  std::string out;
  const auto add = [&](const char* title, const std::vector<std::pair<std::string, double>>& profile,
                       double total_tokens) {
    if (profile.empty()) return;
    double sum = 0;
    for (const auto& step : profile) sum += step.second;
    std::vector<std::vector<Cell>> rows;
    for (const auto& [name, seconds] : profile) {
      rows.push_back({{name},
                      number(fmt::format("{:.2f}", 1e6 * seconds / total_tokens)),
                      number(fmt::format("{:.1f} %", sum > 0 ? 100 * seconds / sum : 0))});
    }
    out += fmt::format("<h2>{}: where the time goes</h2>\n", title) +
           table({{"step"}, number("us per token"), number("share")}, rows);
  };
  const double batch = static_cast<double>(row.what.batch);
  add("Prefill", row.prefill_profile,
      batch * static_cast<double>(row.what.prompt) * static_cast<double>(row.prefill_seconds.size()));
  add("Decode", row.decode_profile, static_cast<double>(row.step_seconds.size()) * batch);
  return out;
}

std::string latency_section(const LatencyReport& l) {
  Chart chart{.title = "Latency of one input over its length", .x_label = "tokens", .y_label = "ms", .series = {}};
  Series seen{.name = "measured (median)", .points = {}, .line = false},
      fit{.name = "fitted tau(n)", .points = {}, .dots = false};
  for (const LatencySample& p : l.points) seen.points.emplace_back(static_cast<double>(p.length), 1e3 * p.seconds);
  const int64_t low = l.points.front().length, high = l.points.back().length;
  const int64_t stride = std::max<int64_t>(1, (high - low) / 300);
  for (int64_t n = low; n <= high; n += stride) fit.points.emplace_back(static_cast<double>(n), 1e3 * l.tau(n));
  chart.series = {seen, fit};
  std::string out = fmt::format("<h2>Latency over {}, threads: {}</h2>\n", escape_html(l.lengths), l.threads);
  out += fmt::format("<p>tau(n) = {:.4g} ms + {:.4g} ms n + {:.4g} ms n<sup>2</sup>", 1e3 * l.tau.a, 1e3 * l.tau.b,
                     1e3 * l.tau.c);
  if (l.tau.chunk > 0) out += fmt::format(" + {:.4g} ms per further chunk of {}", 1e3 * l.tau.d, l.tau.chunk);
  out += fmt::format("; R<sup>2</sup> = {:.5f}, mean error {:.2f} %</p>\n", l.tau.r2, 100 * l.tau.mape);
  const auto ms = [](double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); };
  std::vector<std::vector<Cell>> rows = {
      {{fmt::format("predicted: E[tau(n)], mean length {:.1f}", l.mean_length)}, number(ms(l.predicted))},
      {{fmt::format("measured: mean of {} inputs", l.samples)},
       number(ms(l.measured), "95 %: " + ms(l.measured_ci.low) + " to " + ms(l.measured_ci.high))},
      {{"error of the prediction"}, number(fmt::format("{:+.2f} %", 100 * (l.predicted / l.measured - 1)))}};
  if (l.batch > 1) {
    rows.push_back({{fmt::format("a pass over a batch of {}", l.batch)},
                    number(ms(l.batch_seconds), fmt::format("{:.2f} inputs a second", l.batch_inputs_per_second))});
  }
  out += table({{"expected latency"}, number("ms")}, rows);
  return out + figure(chart);
}

}  // namespace

std::string to_html(const BenchReport& report) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      escape_html("miao bench: " + report.model) + "</title>\n<style>" + kStyle + "</style></head><body>\n";
  out += "<h1>" + escape_html(report.model) + "</h1>\n";
  out += fmt::format("<p class=\"muted\">{}</p>\n",
                     escape_html(fmt::format("{}, {} kernels, keys and values in {}; miao {}, {}", report.family,
                                             report.isa, report.kv, report.version, report.date)));
  out += fmt::format("<p class=\"muted\">{}</p>\n",
                     escape_html(fmt::format("{}, {} cores, {}", report.machine.brand,
                                             report.machine.limits.physical_cores, report.machine.kernel)));
  for (const std::string& warning : warnings(report))
    out += "<p class=\"warn\">" + escape_html("Warning: " + warning) + "</p>\n";
  if (!report.rows.empty()) {
    out += "<h2>Speed</h2>\n" + speeds(report);
    out +=
        "<p class=\"muted\">Medians, below them the slowest and the fastest. Of bandwidth: bytes of weights, keys and "
        "values read per second over what memory gives. Of arithmetic: operations of the matrix products over the "
        "measured peak.</p>\n";
    out += sweep_chart(report, true) + sweep_chart(report, false) + step_chart(report);
    if (report.rows.size() == 1) out += profile_table(report.rows[0]);
  }
  for (const LatencyReport& latency : report.latency) out += latency_section(latency);
  std::vector<std::vector<Cell>> kernels;
  for (const auto& group : report.kernels) {
    kernels.push_back({{group.weights},
                       {group.format},
                       {group.gemv},
                       {group.gemm},
                       number(fmt::format("{:.2f}", static_cast<double>(group.bytes) / 1e6))});
  }
  out += "<h2>Kernels</h2>\n" +
         table({{"weights"}, {"format"}, {"one row"}, {"many rows"}, number("MB a token")}, kernels);
  const auto& m = report.memory;
  const auto mb = [](int64_t bytes) { return number(fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6)); };
  out += "<h2>Memory</h2>\n" +
         table({{"part"}, number("MB")}, {{{"packed weights"}, mb(m.weights)},
                                          {{"embedding, mapped from the file"}, mb(m.embedding)},
                                          {{"activations and scratch"}, mb(m.buffers)},
                                          {{"keys and values"}, mb(m.kv_reserved)},
                                          {{"keys and values of 1000 tokens"}, mb(1000 * m.kv_per_token)}});
  return out + "</body></html>\n";
}

}  // namespace miao::measure
