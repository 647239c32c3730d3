#include "measure/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace miao::measure {

namespace {

constexpr double kWidth = 720, kHeight = 320;
constexpr double kLeft = 64, kRight = 16, kTop = 44, kBottom = 48;

std::string coordinate(double v) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f", v);
  return buffer;
}

std::string text(double x, double y, const char* anchor, const char* css, std::string_view words) {
  return "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" text-anchor=\"" + anchor + "\" class=\"" + css +
         "\">" + escape_html(words) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2) {
  return "<line class=\"grid\" x1=\"" + coordinate(x1) + "\" y1=\"" + coordinate(y1) + "\" x2=\"" + coordinate(x2) +
         "\" y2=\"" + coordinate(y2) + "\"/>\n";
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
  char buffer[32];
  const double size = std::abs(value);
  std::snprintf(buffer, sizeof buffer, size == 0 || size >= 100 ? "%.0f" : size < 1e-4 ? "%.2e" : "%.3g", value);
  return buffer;
}

std::vector<double> ticks(double low, double high, int count) {
  if (!(high > low)) high = low + (low == 0 ? 1 : std::abs(low));
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  std::vector<double> out;
  for (double i = first; i <= last; ++i) out.push_back(i * step);
  return out;
}

std::string svg(const Chart& chart) {
  std::string out = "<svg viewBox=\"0 0 " + coordinate(kWidth) + " " + coordinate(kHeight) +
                    "\" role=\"img\" aria-label=\"" + escape_html(chart.title) +
                    "\" xmlns=\"http://www.w3.org/2000/svg\">\n";
  out += text(kLeft, 18, "start", "title", chart.title);
  double x_low = std::numeric_limits<double>::max(), x_high = -x_low, y_high = 0;
  for (const Series& s : chart.series) {
    for (const auto& [x, y] : s.points) {
      x_low = std::min(x_low, x);
      x_high = std::max(x_high, x);
      y_high = std::max(y_high, y);
    }
  }
  if (x_high < x_low) return out + text(kWidth / 2, kHeight / 2, "middle", "axis", "nothing measured") + "</svg>\n";
  const std::vector<double> xs = ticks(x_low, x_high, 8), ys = ticks(0, y_high, 5);
  const auto px = [&](double x) {
    return kLeft + (x - xs.front()) / (xs.back() - xs.front()) * (kWidth - kLeft - kRight);
  };
  const auto py = [&](double y) { return kHeight - kBottom - y / ys.back() * (kHeight - kTop - kBottom); };

  for (double y : ys) {
    out += line(kLeft, py(y), kWidth - kRight, py(y));
    out += text(kLeft - 8, py(y) + 4, "end", "axis", short_number(y));
  }
  for (double x : xs) {
    out += line(px(x), kHeight - kBottom, px(x), kHeight - kBottom + 5);
    out += text(px(x), kHeight - kBottom + 20, "middle", "axis", short_number(x));
  }
  out += text((kLeft + kWidth - kRight) / 2, kHeight - 8, "middle", "axis", chart.x_label);
  out += "<text transform=\"translate(14 " + coordinate((kTop + kHeight - kBottom) / 2) +
         ") rotate(-90)\" text-anchor=\"middle\" class=\"axis\">" + escape_html(chart.y_label) + "</text>\n";

  double legend = kLeft;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const Series& s = chart.series[i];
    const std::string colour = "var(--s" + std::to_string(i % 4 + 1) + ")";
    if (chart.series.size() > 1) {
      out += "<rect x=\"" + coordinate(legend) + "\" y=\"27\" width=\"10\" height=\"10\" rx=\"2\" fill=\"" + colour +
             "\"/>\n";
      out += text(legend + 15, 36, "start", "axis", s.name);
      legend += 34 + 6.8 * static_cast<double>(s.name.size());
    }
    if (s.line && s.points.size() > 1) {
      out += "<polyline fill=\"none\" stroke=\"" + colour + "\" stroke-width=\"2\" points=\"";
      for (const auto& [x, y] : s.points) out += coordinate(px(x)) + "," + coordinate(py(y)) + " ";
      out += "\"/>\n";
    }
    for (size_t k = 0; s.dots && k < s.points.size(); ++k) {
      const auto& [x, y] = s.points[k];
      out += "<circle cx=\"" + coordinate(px(x)) + "\" cy=\"" + coordinate(py(y)) + "\" r=\"3\" fill=\"" + colour +
             "\"><title>" + escape_html(s.name + ": " + short_number(x) + ", " + short_number(y)) +
             "</title></circle>\n";
    }
  }
  return out + "</svg>\n";
}

}  // namespace miao::measure
