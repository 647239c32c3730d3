// What the machine can do, measured, and the roofline: speed over the operations done for each byte that is read.
// Williams, Waterman and Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "measure/page.h"
#include "measure/sections.h"

namespace miao::measure {

namespace {

struct Roof {
  const char* name;
  double peak;  // operations a second; 0 = the processor has no such unit
};
std::vector<Roof> roofs(const Limits& limits) {
  std::vector<Roof> out;
  for (const Roof& roof : {Roof{"AMX int8", limits.amx}, Roof{"vector int8", limits.int8}, Roof{"FP32", limits.fp32}}) {
    if (roof.peak > 0) out.push_back(roof);
  }
  return out;
}

enum class Phase { prefill, decode, encode };
const char* name(Phase phase) {
  return phase == Phase::prefill ? "prefill" : phase == Phase::decode ? "decode" : "encode";
}

struct Place {
  std::string name;
  Phase phase;
  int threads;
  const Limits* limits;
  const Peak* peak;
  const Load* load;
};

// Every phase of every row that was measured. Rows that differ in what a phase does not see make one place.
std::vector<Place> places(const BenchReport& report) {
  std::vector<Place> out;
  const auto add = [&](Place place) {
    const auto same = [&](const Place& p) { return p.name == place.name && p.threads == place.threads; };
    if (place.load->ops_per_second > 0 && std::ranges::none_of(out, same)) out.push_back(std::move(place));
  };
  for (const BenchRow& row : report.rows) {
    const Roofline& roof = row.roofline;
    for (const Phase phase : {Phase::prefill, Phase::decode}) {
      const bool prefill = phase == Phase::prefill;
      const std::string which = what_differs(report, row, {prefill ? "gen" : "prompt", "threads"});
      add({fmt::format("{}{}{}", name(phase), which.empty() ? "" : ", ", which), phase, row.threads, &roof.limits,
           &roof.peak, prefill ? &roof.prefill : &roof.decode});
    }
  }
  for (const EncodeRow& row : report.encodes)
    add({name_of(row), Phase::encode, row.threads, &row.limits, &row.peak, &row.load});
  return out;
}

std::string roofline_chart(const std::vector<Place>& all) {  // of one number of threads
  const Limits& limits = *all[0].limits;
  const int threads = all[0].threads;
  Chart chart{.title = fmt::format("Roofline, {} thread{}", threads, threads == 1 ? "" : "s"),
              .description =
                  "No phase can be above a roof: the slope is what memory feeds, the flat parts what units of "
                  "the processor compute.",
              .x_label = "operations for each byte read",
              .y_label = "GOPS",
              .series = {},
              .log_x = true,
              .log_y = true};
  double low = 1, high = 1;
  for (const Place& p : all) low = std::min(low, p.load->ops_per_byte), high = std::max(high, p.load->ops_per_byte);
  high = std::max(1.5 * high, 5 * roofs(limits)[0].peak / limits.read);  // room for the names of the roofs
  for (const Roof& roof : roofs(limits)) {
    const double knee = roof.peak / limits.read, flat = roof.peak / 1e9;
    chart.series.push_back({.name = fmt::format("{} {:.0f} GOPS", roof.name, flat),
                            .points = {{.x = knee, .y = flat, .label = roof.name}, {.x = high, .y = flat}},
                            .mark = Mark::dashes,
                            .colour = 0});
  }
  const double top = roofs(limits)[0].peak;
  chart.series.push_back(
      {.name = fmt::format("memory {:.1f} GB/s", limits.read / 1e9),
       .points = {{.x = low, .y = low * limits.read / 1e9}, {.x = top / limits.read, .y = top / 1e9}},
       .mark = Mark::line,
       .colour = 0});
  for (const Phase phase : {Phase::prefill, Phase::decode, Phase::encode}) {
    Series s{.name = name(phase), .points = {}, .mark = Mark::dots, .colour = phase == Phase::decode ? 2 : 1};
    for (const Place& p : all) {
      if (p.phase != phase) continue;
      s.points.push_back(
          {.x = p.load->ops_per_byte, .y = p.load->ops_per_second / 1e9, .label = p.name, .plain = all.size() > 2});
    }
    if (!s.points.empty()) chart.series.push_back(std::move(s));
  }
  std::vector<std::vector<Cell>> rows;
  for (const Place& p : all) {
    rows.push_back(
        {{p.name},
         number(fmt::format("{:.1f}", p.load->ops_per_byte)),
         number(fmt::format("{:.1f}", p.load->ops_per_second / 1e9)),
         number(fmt::format("{:.1f}", p.load->ops_per_second / p.load->ops_per_byte / 1e9)),
         number(fmt::format("{:.0f} % of {}", 100 * p.load->share, p.phase == Phase::decode ? "bandwidth" : "peak"))});
  }
  return figure(
      chart,
      table({{"phase"}, number("operations a byte"), number("GOPS"), number("GB/s read"), number("share")}, rows));
}

}  // namespace

std::string limits_section(const BenchReport& report) {
  std::vector<std::vector<Cell>> rows;
  std::string charts, peak;
  std::map<int, std::vector<Place>> by_threads;
  for (Place& place : places(report)) {
    if (place.limits->read > 0) by_threads[place.threads].push_back(std::move(place));
  }
  for (const auto& [threads, all] : by_threads) {
    const Limits& l = *all[0].limits;
    peak = all[0].peak->name;
    const auto gops = [](double peak_ops) {
      return number(peak_ops > 0 ? fmt::format("{:.0f}", peak_ops / 1e9) : "-");
    };
    rows.push_back({number(std::to_string(threads)),
                    number(fmt::format("{:.1f}", l.read / 1e9),
                           fmt::format("of {:.0f} MB", static_cast<double>(l.read_bytes) / 1e6)),
                    gops(l.fp32), gops(l.int8), gops(l.amx)});
    charts += roofline_chart(all);
  }
  if (rows.empty()) return {};
  return "<h2>Limits of this machine</h2>\n" +
         table({number("threads"), number("read GB/s"), number("FP32 GFLOPS"), number("vector int8 GOPS"),
                number("AMX int8 GOPS")},
               rows) +
         fmt::format(
             "<p class=\"muted\">Measured in this run. Decode is compared with the read bandwidth (bytes of "
             "weights, keys and values), prefill and encoders with the {} peak (operations of the matrix products "
             "with weights; a multiply-add is two).</p>\n",
             escape_html(peak)) +
         side_by_side(charts);
}

}  // namespace miao::measure
