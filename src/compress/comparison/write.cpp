// A comparison of searches as JSON and as a page.
#include <fmt/format.h>

#include "base/json.h"
#include "compress/comparison.h"
#include "measure/chart.h"
#include "measure/page.h"

namespace miao::compress {

using measure::Chart;
using measure::escape_html;
using measure::Mark;
using measure::number;
using measure::Series;

namespace {

Json of(const Finding::Figures& f) {
  return {{"bytes", f.bytes},
          {"memory", f.memory},
          {"first_token_seconds", f.first},
          {"token_seconds", f.step},
          {"request_seconds", f.request}};
}

Json of(const measure::Metric& m) {
  Json out{{"value", m.value}};
  if (m.ci) out["interval"] = {m.ci->low, m.ci->high};
  return out;
}

std::string mb(double bytes) { return fmt::format("{:.1f} MB", bytes / 1e6); }
std::string ms(double seconds) { return seconds > 0 ? measure::short_number(1e3 * seconds) + " ms" : "-"; }

measure::Cell with_interval(const measure::Metric& m) {
  return number(shown(m, m.value), m.ci ? shown(m, m.ci->low) + " to " + shown(m, m.ci->high) : "");
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

std::string results(const Comparison& c) {
  std::vector<measure::Cell> head{{"search"},      {"budgets"},           number("file"),        number("memory"),
                                  number("speed"), number("first token"), number("each further")};
  for (const measure::Metric& m : c.findings.front().told) head.push_back(number(m.label));
  head.push_back({"verdict"});
  std::vector<std::vector<measure::Cell>> rows;
  for (const Finding& f : c.findings) {
    std::vector<measure::Cell> row{
        {f.name},
        {f.budgets.empty() ? "-" : joined(f.budgets, ", ")},
        number(mb(f.own.bytes), fmt::format("{:.2f} of {}", f.own.bytes / f.base.bytes, mb(f.base.bytes))),
        number(mb(f.own.memory), "of " + mb(f.base.memory)),
        number(fmt::format("{:.2f} times", f.speed), fmt::format("above {:.2f} ({:g} %)", f.speed_low, 100 * f.level)),
        number(ms(f.own.first), "of " + ms(f.base.first)),
        number(ms(f.own.step), "of " + ms(f.base.step))};
    for (const measure::Metric& wanted : c.findings.front().told) {
      const auto own = std::ranges::find(f.told, wanted.key, &measure::Metric::key);
      row.push_back(own == f.told.end() ? number("-") : with_interval(*own));
    }
    const std::string better =
        f.better < 0 ? "" : "no better in loss, size or time than " + c.findings[static_cast<size_t>(f.better)].name;
    row.push_back({f.kept ? "budgets kept" : "missed: " + joined(f.misses, "; "), false, better});
    rows.push_back(std::move(row));
  }
  return measure::table(head, rows);
}

std::string makings(const Comparison& c) {
  std::vector<std::vector<measure::Cell>> rows;
  for (const Finding& f : c.findings) {
    std::string types;
    for (const auto& [type, count] : f.types) types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, type);
    rows.push_back({{f.name, false, f.model + ", " + f.date},
                    {types, false, f.kv.empty() ? "" : "keys and values " + f.kv},
                    number(fmt::format("{:.0f} s", f.seconds),
                           fmt::format("{} candidate{}", f.trials.size(), f.trials.size() == 1 ? "" : "s")),
                    {f.machine, false, fmt::format("{} threads", f.threads)},
                    {f.command}});
  }
  return measure::table({{"search"}, {"matrices"}, number("took"), {"machine"}, {"command"}}, rows);
}

// `x`: of a trial; results are the trials that were chosen, with the loss that counts.
template <class X, class Own>
std::string losses(const Comparison& c, std::string title, std::string x_label, const char* better, const X& x,
                   const Own& own, bool fronts) {
  Chart chart{.title = std::move(title),
              .description = fmt::format("Loss of each search's models against the base. Lower is better, and so is "
                                         "more to the {}. Rings are candidates, on the text that chose among them.",
                                         better),
              .x_label = std::move(x_label),
              .y_label = c.findings.front().axis,
              .series = {},
              .log_y = true};
  double least = 1e300, most = 0;
  const auto seen = [&](double loss) { least = std::min(least, loss), most = std::max(most, loss); };
  int colour = 0;
  for (const Finding& f : c.findings) {
    colour = colour % 4 + 1;
    Series result{.name = f.name, .points = {}, .mark = Mark::dots, .colour = colour, .radius = 5};
    Series tried{.name = f.name + ", candidates", .points = {}, .mark = Mark::rings, .colour = colour};
    if (f.loss.value > 0) {
      measure::Point p{.x = own(f), .y = f.loss.value, .label = f.name};
      if (f.loss.ci && f.loss.ci->low > 0) p.low = f.loss.ci->low, p.high = f.loss.ci->high;
      result.points.push_back(std::move(p));
      seen(f.loss.value);
    }
    for (const Finding::Trial& t : f.trials) {
      if (!(t.loss.value > 0 && x(t) > 0)) continue;
      tried.points.push_back({.x = x(t), .y = t.loss.value, .label = f.name + ", " + t.name, .plain = true});
      seen(t.loss.value);
    }
    if (!result.points.empty()) chart.series.push_back(std::move(result));
    if (!tried.points.empty()) chart.series.push_back(std::move(tried));
  }
  if (fronts) {
    std::vector<std::string> drawn;
    for (const Finding& f : c.findings) {
      const std::string of = f.sha256 + f.text + f.sets + f.axis;
      if (std::ranges::find(drawn, of) != drawn.end()) continue;
      drawn.push_back(of);
      Series line{.name = "predicted without GPTQ, base of " + f.name, .points = {}, .mark = Mark::line, .colour = 0};
      for (const auto& [bytes, loss] : f.front) {
        if (loss >= least / 1.5 && loss <= most * 1.5) line.points.push_back({.x = bytes / 1e6, .y = loss});
      }
      if (!line.points.empty()) chart.series.push_back(std::move(line));
    }
  }
  return chart.series.empty() ? "" : measure::figure(chart);
}

}  // namespace

Json to_json(const Comparison& c) {
  Json out{{"schema", kComparisonSchema}, {"differences", c.differences}, {"searches", Json::array()}};
  for (const Finding& f : c.findings) {
    Json one{
        {"name", f.name},       {"report", f.file.string()},
        {"model", f.model},     {"architecture", f.architecture},
        {"sha256", f.sha256},   {"machine", f.machine},
        {"date", f.date},       {"kept", f.kept},
        {"budgets", f.budgets}, {"misses", f.misses},
        {"seconds", f.seconds}, {"base", of(f.base)},
        {"own", of(f.own)},     {"speed", {{"ratio", f.speed}, {"ratio_lower_bound", f.speed_low}, {"level", f.level}}},
        {"loss", f.axis}};
    for (const measure::Metric& m : f.told) one["metrics"][m.key] = of(m);
    one["metrics"][f.loss.key] = of(f.loss);
    if (f.better >= 0) one["dominated_by"] = c.findings[static_cast<size_t>(f.better)].name;
    out["searches"].push_back(std::move(one));
  }
  return out;
}

std::string to_html(const Comparison& c, const std::string& version, const std::string& date) {
  const bool several = c.findings.size() > 1;
  const std::string title =
      several ? fmt::format("{} searches side by side", c.findings.size()) : "The search of " + c.findings.front().name;
  std::string out = "<h1>" + escape_html(title) + "</h1>\n";
  for (const std::string& line : c.differences) out += "<p class=\"warn\">" + escape_html(line) + "</p>\n";
  out += results(c);
  const std::string figures =
      losses(
          c, "Loss against size", "MB", "left", [](const Finding::Trial& t) { return t.bytes / 1e6; },
          [](const Finding& f) { return f.own.bytes / 1e6; }, true) +
      losses(
          c, "Loss against speed", "times as fast as the base", "right",
          [](const Finding::Trial& t) { return t.speed; }, [](const Finding& f) { return f.speed; }, false);
  if (!figures.empty()) out += "<h2>Loss and what it buys</h2>\n" + measure::side_by_side(figures);
  out += "<h2>How they were found</h2>\n" + makings(c);
  out += fmt::format("<p class=\"muted\">miao {}, {}</p>\n", escape_html(version), escape_html(date));
  return measure::page("miao report: " + title, out);
}

}  // namespace miao::compress
