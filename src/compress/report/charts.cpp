#include "compress/report/charts.h"

#include <fmt/format.h>

#include <algorithm>

#include "compress/report/facts.h"
#include "measure/chart.h"
#include "measure/heat_map.h"
#include "measure/page.h"

namespace miao::compress {

using measure::Chart;
using measure::Mark;
using measure::Point;
using measure::Series;

namespace {

std::string html(const FactTable& t) { return t.rows.empty() ? "" : measure::table(t.head, t.rows); }

// One of the three charts: how a quantity is read from predictions and from what was built, in the unit of its axis.
struct View {
  const CompressReport& r;
  Quantity quantity;
  bool time() const { return quantity == kSeconds; }
  double of(const Costs& c) const { return c[quantity] * (time() ? 1e3 : 1e-6); }
  double of(const Candidate& c) const {
    if (time()) return 1e3 * seconds_of(c, r.request);
    return (quantity == kBytes ? static_cast<double>(c.bytes) : static_cast<double>(c.memory)) / 1e6;
  }
  const char* title() const {
    return time() ? "Loss against time" : quantity == kBytes ? "Loss against size" : "Loss against memory";
  }
  const char* unit() const { return time() ? "ms a request" : quantity == kBytes ? "MB of file" : "MB, running"; }
};

struct Window {
  double x_low = 1e300, x_high = 0, y_low = 1e300, y_high = 0;
  void add(double x, double y) {
    if (!(x > 0 && y > 0)) return;
    x_low = std::min(x_low, x), x_high = std::max(x_high, x), y_low = std::min(y_low, y), y_high = std::max(y_high, y);
  }
  bool empty() const { return y_high == 0; }
};

void add(Chart& chart, Series series, Window& seen) {
  std::erase_if(series.points, [](const Point& p) { return !(p.x > 0 && p.y > 0); });
  for (const Point& p : series.points) seen.add(p.x, p.y);
  if (!series.points.empty()) chart.series.push_back(std::move(series));
}

Point point_of(const View& view, const Candidate& c) {
  Point out{.x = view.of(c), .y = loss_of(view.r, c), .label = c.name, .plain = true};
  const measure::Metric* const m = loss_metric(view.r, c);
  if (m && m->ci && m->ci->low > 0) out.low = m->ci->low, out.high = m->ci->high;
  return out;
}

void add_references(Chart& chart, const View& view, Window& seen) {
  Series usual{.name = "usual types, measured loss", .points = {}, .mark = Mark::dots, .colour = 2};
  Series controls{.name = "controls, measured loss", .points = {}, .mark = Mark::dots, .colour = 4};
  for (const Reference& ref : view.r.references) {
    Series& series = is_control(ref) ? controls : usual;
    series.points.push_back({.x = view.of(ref.predicted), .y = ref.loss, .label = ref.name});
  }
  add(chart, std::move(usual), seen);
  add(chart, std::move(controls), seen);
}

void add_candidates(Chart& chart, const View& view, Window& seen) {
  Series predicted{.name = "candidates, predicted", .points = {}, .mark = Mark::rings, .colour = 3};
  Series kept{.name = "measured, budgets kept", .points = {}, .mark = Mark::dots, .colour = 3};
  Series missed{.name = "measured, a budget missed", .points = {}, .mark = Mark::dots, .colour = 0};
  Series chosen{.name = "chosen", .points = {}, .mark = Mark::rings, .colour = 3, .radius = 8};
  for (const Candidate& c : view.r.candidates) {
    predicted.points.push_back({.x = view.of(c.predicted), .y = c.predicted[kLoss], .label = c.name, .plain = true});
    (c.misses.empty() ? kept : missed).points.push_back(point_of(view, c));
    if (&c == chosen_of(view.r)) chosen.points.push_back({.x = view.of(c), .y = loss_of(view.r, c), .label = "chosen"});
  }
  for (Series* s : {&predicted, &kept, &missed, &chosen}) add(chart, std::move(*s), seen);
}

// Limits that are about what is drawn, where they are near enough to what is drawn.
void add_budgets(Chart& chart, const View& view, const Window& seen) {
  const Budgets& b = view.r.budgets;
  const auto upright = [&](std::optional<double> x, const char* name) {
    if (!x || *x < seen.x_low / 1.5 || *x > seen.x_high * 1.5) return;
    chart.series.push_back({.name = name,
                            .points = {{.x = *x, .y = seen.y_high, .label = name}, {.x = *x, .y = seen.y_low}},
                            .mark = Mark::dashes,
                            .colour = 0});
  };
  if (view.time()) {
    if (b.request) upright(1e3 * *b.request, "budget of a request");
    const Candidate* const c = chosen_of(view.r);
    if (b.speed && c && c->speeds) upright(1e3 * c->speeds->base.request(view.r.request) / *b.speed, "budget of speed");
  } else if (view.quantity == kMemory) {
    if (b.memory) upright(*b.memory / 1e6, "budget of memory");
  } else {
    if (b.size) upright(*b.size / 1e6, "budget of size");
    if (b.size_share) upright(*b.size_share * static_cast<double>(view.r.base_bytes) / 1e6, "budget of size (share)");
  }
  for (const measure::Budget& loss : b.losses) {
    const std::string metric = view.r.wording.loss == "distance" ? "cosine" : "kld";
    if (loss.metric != metric || loss.margin < seen.y_low / 4 || loss.margin > seen.y_high * 4) continue;
    chart.series.push_back({.name = "budget of loss",
                            .points = {{.x = seen.x_low, .y = loss.margin, .label = "budget of loss"},
                                       {.x = seen.x_high, .y = loss.margin}},
                            .mark = Mark::dashes,
                            .colour = 0});
  }
}

// The part of the front that is near the marks; all of it where there are none.
Series front_line(const View& view, const std::vector<Allocation>& front, const Window& seen) {
  Series out{.name = "best that is predicted", .points = {}, .mark = Mark::line, .colour = 1};
  for (const Allocation& a : front) {
    const double loss = a.total[kLoss];
    if (!seen.empty() && (loss < seen.y_low / 1.5 || loss > 1.5 * seen.y_high)) continue;
    out.points.push_back({.x = view.of(a.total), .y = loss});
  }
  return out;
}

std::string front_figure(const View& view, const std::vector<Allocation>& front) {
  if (front.empty() && view.r.references.empty() && view.r.candidates.empty()) return {};
  Chart chart{.title = view.title(),
              .description =
                  "Loss against the base: the front that predictions give, types that others take, controls, and "
                  "candidates as predicted and as measured. Lower and more to the left is better.",
              .x_label = view.unit(),
              .y_label = view.r.wording.axis,
              .series = {},
              .log_y = true};
  Window seen;
  add_references(chart, view, seen);
  add_candidates(chart, view, seen);
  Series line = front_line(view, front, seen);
  Chart whole = chart;
  whole.series.clear();
  add(whole, std::move(line), seen);
  whole.series.insert(whole.series.end(), chart.series.begin(), chart.series.end());
  if (!seen.empty()) add_budgets(whole, view, seen);
  std::string details = html(references(view.r));
  if (!front.empty()) details += "<p>The front, some of its " + std::to_string(front.size()) + " mixes:</p>\n";
  return measure::figure(whole, details + html(front_points(view.r, front)));
}

// Equal figures lie on the line.
Series diagonal(double low, double high) {
  return {.name = "predicted = measured", .points = {{low, low}, {high, high}}, .mark = Mark::dashes, .colour = 0};
}

}  // namespace

std::string front_figures(const CompressReport& r) {
  return measure::side_by_side(front_figure({r, kSeconds}, r.front_time) + front_figure({r, kBytes}, r.front_size) +
                               front_figure({r, kMemory}, r.front_memory));
}

std::string latency_figure(const CompressReport& r) {
  if (r.latency.size() != 2) return {};
  Chart chart{.title = "Latency over the length of an input",
              .description = "Measured means, from the fastest to the slowest, and the fitted tau(n).",
              .x_label = "tokens that are read",
              .y_label = "ms",
              .series = {},
              .whole_x = true};
  for (size_t i = 0; i < 2; ++i) {
    const measure::LatencyReport& l = r.latency[i];
    const std::string name = i == 0 ? "base" : "result";
    const int colour = i == 0 ? 1 : 3;
    Series points{.name = name + ", measured", .points = {}, .mark = Mark::dots, .colour = colour};
    for (const measure::LatencyPoint& p : l.points) {
      points.points.push_back(
          {.x = static_cast<double>(p.length), .y = 1e3 * p.seconds, .low = 1e3 * p.fastest, .high = 1e3 * p.slowest});
    }
    Series fit{.name = name + ", fitted", .points = {}, .mark = Mark::line, .colour = colour};
    const int64_t low = l.points.front().length, high = l.points.back().length;
    for (int64_t n = low; n <= high; n += std::max<int64_t>(1, (high - low) / 300))
      fit.points.push_back({.x = static_cast<double>(n), .y = 1e3 * l.tau(n)});
    chart.series.push_back(std::move(fit));
    chart.series.push_back(std::move(points));
  }
  return measure::figure(chart);
}

std::string heat_figure(const CompressReport& r) {
  const MatrixGrid grid = grid_of(r);
  if (grid.rows.empty()) return {};
  const Candidate* const c = chosen_of(r);
  measure::HeatMap map{.title = "Sensitivity and chosen type of each matrix",
                       .description =
                           "Colour: what the model loses when this matrix alone is in a coarse type. In each cell: "
                           "the type that was chosen.",
                       .value_label = r.wording.axis + ", with this matrix alone in the coarse type",
                       .columns = grid.kinds,
                       .rows = {}};
  for (const MatrixGrid::Row& row : grid.rows) {
    measure::HeatMap::Row cells{
        .name = row.outside ? row.name : "layer " + row.name, .cells = {}, .whole = row.outside};
    for (const MatrixLoss* m : row.cells) {
      measure::HeatCell cell;
      if (m) {
        const auto type = c ? c->types.find(m->tensor) : TypesByName::const_iterator();
        cell.text = c && type != c->types.end() ? format(type->second).name : "-";
        cell.tip = fmt::format("{}: {}; in {} alone it loses {}", m->tensor, cell.text, format(m->probe).name,
                               measure::short_number(m->probe_loss));
        cell.value = m->probe_loss;
      }
      cells.cells.push_back(std::move(cell));
    }
    map.rows.push_back(std::move(cells));
  }
  return measure::figure(map.title, svg(map), html(matrix_types(r)));
}

std::string loss_check_figure(const CompressReport& r) {
  const Additivity& a = r.additivity;
  const size_t n = std::min(a.predicted.size(), a.measured.size());
  if (n == 0) return {};
  Series dots{.name = "random mixes", .points = {}, .mark = Mark::dots};
  double high = 0;
  for (size_t i = 0; i < n; ++i) {
    dots.points.push_back({.x = a.predicted[i], .y = a.measured[i]});
    high = std::max({high, a.predicted[i], a.measured[i]});
  }
  return measure::figure({.title = "Loss of random mixes",
                          .description = "Predicted from losses of single matrices, and measured.",
                          .x_label = "predicted " + r.wording.loss,
                          .y_label = "measured",
                          .series = {diagonal(0, high), std::move(dots)}},
                         html(mixes(r)));
}

std::string time_check_figure(const CompressReport& r) {
  Series dots{.name = "candidates", .points = {}, .mark = Mark::dots, .colour = 3};
  double low = 1e300, high = 0;
  const auto put = [&](Series& s, double predicted, double measured, std::string label) {
    if (!(predicted > 0 && measured > 0)) return;
    s.points.push_back({.x = 1e3 * predicted, .y = 1e3 * measured, .label = std::move(label)});
    low = std::min({low, 1e3 * predicted, 1e3 * measured}), high = std::max({high, 1e3 * predicted, 1e3 * measured});
  };
  for (const Candidate& c : r.candidates) {
    const size_t space = c.name.rfind(' ');
    put(dots, c.predicted[kSeconds], seconds_of(c, r.request),
        space == std::string::npos ? c.name : c.name.substr(space + 1));
  }
  if (dots.points.empty()) return {};
  Series base{.name = "base", .points = {}, .mark = Mark::dots, .colour = 1};
  const Candidate* const c = chosen_of(r);
  if (c && c->speeds && !r.front_time.empty() && r.front_time[0].total[kLoss] == 0)
    put(base, r.front_time[0].total[kSeconds], c->speeds->base.request(r.request), "base");
  Chart chart{.title = "Time of candidates",
              .description = "Predicted from times of kinds and types, and measured.",
              .x_label = "predicted ms a request",
              .y_label = "measured",
              .series = {diagonal(low, high), std::move(dots)}};
  if (!base.points.empty()) chart.series.push_back(std::move(base));
  return measure::figure(chart);
}

}  // namespace miao::compress
