// Charts as inline SVG: lines and dots over two linear axes. No scripts; colours come from the page's CSS variables
// (--ink, --muted, --grid, --s1 .. --s4), so that light and dark pages need no second drawing. Each dot has a tooltip.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace miao::measure {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // (x, y), finite
  bool line = true;
  bool dots = true;
};

struct Chart {
  std::string title;
  std::string x_label, y_label;
  std::vector<Series> series;  // at most 4 are told apart by colour
};

// The y axis begins at 0. A chart without points says so.
std::string svg(const Chart& chart);

// Round numbers that cover low .. high in about `count` steps.
std::vector<double> ticks(double low, double high, int count);

std::string escape_html(std::string_view text);
// Three significant digits, thousands as they are: "0.0123", "12.3", "1234".
std::string short_number(double value);

}  // namespace miao::measure
