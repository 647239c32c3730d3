// Latency of a workload: tau(n) with its measurements, the distribution of lengths, and prediction beside measurement.
#include <fmt/format.h>

#include <algorithm>

#include "measure/page.h"
#include "measure/sections.h"

namespace miao::measure {

namespace {

std::string ms(double seconds) { return fmt::format("{:.3f}", 1e3 * seconds); }
std::string interval(const Interval& i) { return ms(i.low) + " to " + ms(i.high); }

std::string tau_chart(const LatencyReport& l) {
  Series band{.name = fmt::format("fit within {:.1f} %, the error of a length left out", 100 * l.error.left_out),
              .points = {},
              .mark = Mark::band,
              .colour = 2};
  Series fit{.name = "fitted tau(n)", .points = {}, .mark = Mark::line, .colour = 2};
  Series inputs{.name = "inputs", .points = {}, .mark = Mark::cloud, .colour = 0};
  Series points{.name = "mean, fastest to slowest", .points = {}, .mark = Mark::dots, .colour = 1};
  const int64_t low = l.points.front().length, high = l.points.back().length;
  const int64_t stride = std::max<int64_t>(1, (high - low) / 600);
  for (int64_t n = low; n <= high; n += stride) {
    const double x = static_cast<double>(n), y = 1e3 * l.tau(n);
    fit.points.push_back({.x = x, .y = y});
    band.points.push_back({.x = x, .y = y, .low = y * (1 - l.error.left_out), .high = y * (1 + l.error.left_out)});
  }
  const size_t thin = l.inputs.size() / 1000 + 1;  // a page stays small
  for (size_t i = 0; i < l.inputs.size(); i += thin)
    inputs.points.push_back({.x = static_cast<double>(l.inputs[i].first), .y = 1e3 * l.inputs[i].second});
  std::vector<std::vector<Cell>> rows;
  for (const LatencyPoint& p : l.points) {
    points.points.push_back(
        {.x = static_cast<double>(p.length), .y = 1e3 * p.seconds, .low = 1e3 * p.fastest, .high = 1e3 * p.slowest});
    rows.push_back({number(std::to_string(p.length)), number(ms(p.seconds)),
                    number(ms(p.fastest) + " to " + ms(p.slowest)), number(ms(l.tau(p.length))),
                    number(fmt::format("{:+.1f} %", 100 * (l.tau(p.length) / p.seconds - 1)))});
  }
  return figure(
      {.title = "Latency of one input over its length",
       .description = "Measured means with their spread, single inputs of the workload, and the fit.",
       .x_label = "tokens",
       .y_label = "ms",
       .series = {band, inputs, fit, points},
       .whole_x = true},
      table({number("tokens"), number("mean ms"), number("fastest to slowest"), number("tau(n)"), number("error")},
            rows));
}

std::string length_chart(const LatencyReport& l) {
  constexpr int64_t kBars = 40;
  const int64_t first = l.distribution.front().first, span = l.distribution.back().first - first + 1;
  const int64_t width = (span + kBars - 1) / kBars;
  Series bars{.name = "share of the inputs", .points = {}, .mark = Mark::bars};
  for (const auto& [length, p] : l.distribution) {
    if (100 * p < 1e-3) continue;  // the ends of a Poisson distribution
    const int64_t low = first + (length - first) / width * width;
    const double left = static_cast<double>(low) - 0.5;
    if (bars.points.empty() || bars.points.back().low < left) {
      const std::string name = width == 1 ? std::to_string(low) : fmt::format("{} to {}", low, low + width - 1);
      bars.points.push_back(
          {.x = static_cast<double>(low), .low = left, .high = left + static_cast<double>(width), .label = name});
    }
    bars.points.back().y += 100 * p;
  }
  std::vector<std::vector<Cell>> rows;
  for (Point& p : bars.points) {
    rows.push_back({number(p.label), number(fmt::format("{:.2f}", p.y))});
    p.label += fmt::format(" tokens: {:.2f} %", p.y);
  }
  return figure({.title = "Lengths of the inputs: " + l.lengths,
                 .description = fmt::format("Mean {:.1f} tokens.", l.mean_length),
                 .x_label = "tokens",
                 .y_label = "% of the inputs",
                 .series = {bars},
                 .whole_x = true},
                table({number("tokens"), number("% of the inputs")}, rows));
}

}  // namespace

std::string latency_section(const LatencyReport& l) {
  std::string formula = escape_html(l.tau.formula());
  if (const size_t at = formula.find("n^2"); at != std::string::npos) formula.replace(at, 3, "n<sup>2</sup>");
  std::string out = fmt::format("<h2>Latency over {}, threads: {}</h2>\n", escape_html(l.lengths), l.threads);
  out += fmt::format(
      "<p>tau(n) = {} ms</p>\n<p class=\"muted\">Error of the fit: R<sup>2</sup> {:.4f}, mean {:.1f} %, largest "
      "{:.1f} % (at {} tokens), of a length left out of the fit {:.1f} %. [x] is 1 where x holds, else 0.</p>\n",
      formula, l.error.r2, 100 * l.error.mean, 100 * l.error.largest, l.error.largest_at, 100 * l.error.left_out);
  std::vector<std::vector<Cell>> rows = {{{fmt::format("predicted: E[tau(n)], mean length {:.1f}", l.mean_length)},
                                          number(ms(l.predicted.value)),
                                          number(interval(l.predicted.ci))},
                                         {{fmt::format("measured: mean of {} inputs, one at a time", l.inputs.size())},
                                          number(ms(l.measured.value)),
                                          number(interval(l.measured.ci))}};
  if (l.batch > 1) {
    rows.push_back({{fmt::format("measured: in batches of {}", l.batch), false,
                     fmt::format("{:.1f} inputs a second", l.batch_inputs_per_second)},
                    number(ms(l.batch_seconds.value)),
                    number(interval(l.batch_seconds.ci))});
  }
  out += table({{"mean latency"}, number("ms"), number("95 % interval")}, rows);
  out += fmt::format("<p>The prediction is {:+.1f} % off ({:+.1f} to {:+.1f} %): {}.</p>\n", 100 * l.difference.value,
                     100 * l.difference.ci.low, 100 * l.difference.ci.high, verdict(l));
  const auto row = [](const char* name, const Estimate& e, int colour) {
    return IntervalRow{name, 1e3 * e.value, 1e3 * e.ci.low, 1e3 * e.ci.high, colour};
  };
  const std::string both = svg("Mean latency, predicted and measured", "ms, with 95 % intervals",
                               {row("predicted", l.predicted, 2), row("measured", l.measured, 1)});
  return out + side_by_side(tau_chart(l) + length_chart(l) + figure("Mean latency, predicted and measured", both));
}

}  // namespace miao::measure
