#include "measure/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "measure/chart/svg.h"

namespace miao::measure {

namespace {

constexpr double kWidth = kChartWidth, kHeight = 340;
constexpr double kLeft = 62, kRight = 18, kTop = 12, kBottom = 50;

// Values of one axis and their place in the picture.
struct Axis {
  bool log = false;
  double from = 0, to = 1;  // coordinates of the first and the last tick
  std::vector<double> at = {};

  double operator()(double value) const {
    const double low = scaled(at.front()), high = scaled(at.back());
    return from + (scaled(value) - low) / (high - low) * (to - from);
  }

 private:
  double scaled(double value) const { return log ? std::log10(value) : value; }
};

bool marked(Mark mark) { return mark == Mark::dots || mark == Mark::linked || mark == Mark::rings; }

std::string draw(const Series& s, const Axis& px, const Axis& py) {
  std::string out;
  const std::string paint = svg_colour(s.colour);
  if (s.mark == Mark::band) {
    out += fmt::format("<polygon fill=\"{}\" opacity=\"0.18\" points=\"", paint);
    for (const Point& p : s.points) out += fmt::format("{:.1f},{:.1f} ", px(p.x), py(p.high));
    for (size_t i = s.points.size(); i-- > 0;)
      out += fmt::format("{:.1f},{:.1f} ", px(s.points[i].x), py(s.points[i].low));
    return out + "\"/>\n";
  }
  if ((s.mark == Mark::line || s.mark == Mark::dashes || s.mark == Mark::linked) && s.points.size() > 1) {
    out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{} points=\"", paint,
                       s.mark == Mark::dashes ? "1.5" : "2", s.mark == Mark::dashes ? " stroke-dasharray=\"6 4\"" : "");
    for (const Point& p : s.points) out += fmt::format("{:.1f},{:.1f} ", px(p.x), py(p.y));
    out += "\"/>\n";
  }
  for (const Point& p : s.points) {
    const double x = px(p.x), y = py(p.y);
    if (s.mark == Mark::bars) {
      const double left = px(p.low), width = std::max(1.0, px(p.high) - left - 1), bottom = py(py.at.front());
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"><title>{}</title></rect>\n",
          left, y, width, bottom - y, paint, escape_html(p.label));
    } else if (s.mark == Mark::cloud) {
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2\" fill=\"{}\" opacity=\"0.45\"/>\n", x, y, paint);
    } else if (marked(s.mark)) {
      const std::string tip = fmt::format("{}{}: {}, {}", s.name, p.label.empty() ? "" : " " + p.label,
                                          short_number(p.x), short_number(p.y));
      if (p.high > p.low) {
        out +=
            fmt::format("<path stroke=\"{0}\" d=\"M{1:.1f} {2:.1f}V{3:.1f}M{4:.1f} {2:.1f}h6M{4:.1f} {3:.1f}h6\"/>\n",
                        paint, x, py(p.low), py(p.high), x - 3);
      }
      out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" {}><title>{}</title></circle>\n", x, y, s.radius,
          s.mark == Mark::rings ? fmt::format("fill=\"transparent\" stroke=\"{}\" stroke-width=\"1.5\"", paint)
                                : fmt::format("fill=\"{}\"", paint),
          escape_html(tip));
    }
  }
  return out;
}

// Of series i: its key in the legend shows and hides it.
std::string part(size_t i, const std::string& marks) { return fmt::format("<g data-s=\"{}\">\n{}</g>\n", i, marks); }

// The name of a line begins where the line does; those of dots stay inside the picture.
std::string names(const Chart& chart, const Axis& px, const Axis& py) {
  Labels labels({kLeft, 0, kWidth, kHeight - kBottom});
  for (const Series& s : chart.series) {
    for (const Point& p : s.points) {
      if (marked(s.mark)) labels.keep_off(px(p.x), py(p.y), s.radius);
    }
  }
  std::string out;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const Series& s = chart.series[i];
    if (s.mark == Mark::bars) continue;
    std::string own;
    for (const Point& p : s.points) {
      if (p.label.empty() || p.plain) continue;
      const double x = px(p.x);
      own += labels.put(x, py(p.y), marked(s.mark) && s.mark != Mark::linked && x > (kLeft + kWidth) / 2, p.label);
    }
    if (!own.empty()) out += part(i, own);
  }
  return out;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size == 0 || size >= 100) return fmt::format("{:.0f}", value);
  return size < 1e-4 ? fmt::format("{:.2e}", value) : fmt::format("{:.3g}", value);
}

std::vector<double> ticks(double low, double high, int count, double least) {
  if (!(high > low)) high = low + (low == 0 ? 1 : std::abs(low));
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double step = std::max(least, power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10));
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  std::vector<double> out;
  for (double i = first; i <= last; ++i) out.push_back(i * step);
  return out;
}

std::vector<double> log_ticks(double low, double high) {
  const bool fine = high / low < 200;
  std::vector<double> out;
  for (double power = std::pow(10, std::floor(std::log10(low) + 1e-9));; power *= 10) {
    for (double digit : {1.0, 2.0, 5.0}) {
      if (!fine && digit > 1) continue;
      const double tick = power * digit;
      if (!out.empty() && tick <= low * (1 + 1e-9)) out.clear();  // a tick nearer to low
      out.push_back(tick);
      if (tick >= high * (1 - 1e-9) && out.size() > 1) return out;
    }
  }
}

Series& series_of(Chart& chart, const std::string& name, Mark mark) {
  const auto at = std::ranges::find(chart.series, name, &Series::name);
  if (at != chart.series.end()) return *at;
  chart.series.push_back(
      {.name = name, .points = {}, .mark = mark, .colour = static_cast<int>(chart.series.size()) + 1});
  return chart.series.back();
}

std::string svg(const Chart& chart) {
  std::string out = svg_begin(chart.title, chart.description, kWidth, kHeight);
  Range xs, ys;
  for (const Series& s : chart.series) {
    for (const Point& p : s.points) {
      xs.add(p.x), ys.add(p.y);
      if (p.high > p.low) {
        Range& spread = s.mark == Mark::bars ? xs : ys;
        spread.add(p.low), spread.add(p.high);
      }
    }
  }
  if (xs.high < xs.low)
    return out + svg_text(kWidth / 2, kHeight / 2, "middle", "axis", "nothing measured") + "</svg>\n";
  const double bottom = kHeight - kBottom, right = kWidth - kRight;
  const Axis px{chart.log_x, kLeft, right,
                chart.log_x ? log_ticks(xs.low, xs.high) : ticks(xs.low, xs.high, 7, chart.whole_x ? 1 : 0)};
  const Axis py{chart.log_y, bottom, kTop,
                chart.log_y ? log_ticks(ys.low, ys.high) : ticks(std::min(0.0, ys.low), ys.high, 5)};
  for (double y : py.at) {
    out += svg_line("grid", kLeft, py(y), right, py(y));
    out += svg_text(kLeft - 7, py(y) + 4, "end", "axis", short_number(y));
  }
  for (double x : px.at) {
    out += svg_line("grid", px(x), bottom, px(x), chart.log_x ? kTop : bottom + 5);
    out += svg_text(px(x), bottom + 18, "middle", "axis", short_number(x));
  }
  out += svg_text((kLeft + right) / 2, kHeight - 10, "middle", "axis", chart.x_label);
  out += fmt::format(
      "<text transform=\"translate(14 {:.1f}) rotate(-90)\" text-anchor=\"middle\" class=\"axis\">{}</text>\n",
      (kTop + bottom) / 2, escape_html(chart.y_label));
  for (size_t i = 0; i < chart.series.size(); ++i) out += part(i, draw(chart.series[i], px, py));
  return out + names(chart, px, py) + "</svg>\n";
}

std::string svg(std::string_view title, std::string_view x_label, const std::vector<IntervalRow>& rows) {
  constexpr double kLine = 44, kNames = 96;
  const double bottom = kTop + kLine * static_cast<double>(rows.size());
  Range xs;
  std::string description;
  for (const IntervalRow& r : rows) {
    xs.add(r.value), xs.add(r.low), xs.add(r.high);
    description +=
        fmt::format("{} {} ({} to {}). ", r.name, short_number(r.value), short_number(r.low), short_number(r.high));
  }
  std::string out = svg_begin(title, description, kWidth, bottom + kBottom);
  const Axis px{false, kNames, kWidth - kRight, ticks(xs.low, xs.high, 6)};
  for (double x : px.at) {
    out += svg_line("grid", px(x), kTop, px(x), bottom);
    out += svg_text(px(x), bottom + 18, "middle", "axis", short_number(x));
  }
  out += svg_text((kNames + kWidth - kRight) / 2, bottom + kBottom - 10, "middle", "axis", x_label);
  for (size_t i = 0; i < rows.size(); ++i) {
    const IntervalRow& r = rows[i];
    const double y = kTop + kLine * (static_cast<double>(i) + 0.5);
    out += svg_text(kNames - 12, y + 4, "end", "label", r.name);
    out += fmt::format(
        "<path stroke=\"{0}\" stroke-width=\"2\" d=\"M{1:.1f} {3:.1f}H{2:.1f}M{1:.1f} {4:.1f}v12M{2:.1f} "
        "{4:.1f}v12\"/>\n<circle cx=\"{5:.1f}\" cy=\"{3:.1f}\" r=\"5\" fill=\"{0}\"/>\n",
        svg_colour(r.colour), px(r.low), px(r.high), y, y - 6, px(r.value));
    out += svg_text(px(r.value), y - 10, "middle", "label", short_number(r.value));
  }
  return out + "</svg>\n";
}

}  // namespace miao::measure
