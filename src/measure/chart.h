// Charts as inline SVG over two axes, linear or logarithmic. What belongs to series i stands in <g data-s="i">. Colours
// come from the page's CSS variables (--ink, --muted, --grid, --s1 .. --s4), so that light and dark pages need no
// second drawing. Title and legend are the page's (page.h), since HTML can break their lines; here they are what a
// screen reader says. Each dot has a tooltip.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace miao::measure {

struct Point {
  double x = 0, y = 0;
  double low = 0, high = 0;  // spread of y, or for bars their edges in x; equal = none
  std::string label = {};    // beside the place, and in the tooltip
  bool plain = false;        // in the tooltip alone
};

enum class Mark {
  line,
  dashes,  // a line, for limits
  dots,    // with a whisker from low to high
  linked,  // dots and a line
  rings,   // dots with nothing inside
  cloud,   // many small dots without tooltips
  band,    // between low and high
  bars,    // from 0 to y
};

struct Series {
  std::string name;
  std::vector<Point> points;  // finite; positive on a logarithmic axis
  Mark mark = Mark::linked;
  int colour = 1;       // 1 .. 4; 0 = muted
  double radius = 3.5;  // of dots and rings
};

struct Chart {
  std::string title, description;  // what it shows, in words
  std::string x_label, y_label;
  std::vector<Series> series;
  bool whole_x = false;  // x takes whole numbers only
  bool log_x = false, log_y = false;
};

// The series of that name; a new one, in the next colour, where there is none.
Series& series_of(Chart& chart, const std::string& name, Mark mark);

// A linear y axis holds 0. A chart without points says so.
std::string svg(const Chart& chart);

// Values with their intervals, one a line, over a linear axis that need not begin at 0.
struct IntervalRow {
  std::string name;
  double value = 0, low = 0, high = 0;
  int colour = 1;
};
std::string svg(std::string_view title, std::string_view x_label, const std::vector<IntervalRow>& rows);

// Round numbers that cover low .. high in about `count` steps of at least `least`.
std::vector<double> ticks(double low, double high, int count, double least = 0);
// 1, 2 and 5 times powers of ten that cover low .. high, or the powers alone where that would be many. 0 < low.
std::vector<double> log_ticks(double low, double high);

std::string escape_html(std::string_view text);
// Three significant digits, thousands as they are: "0.0123", "12.3", "1234".
std::string short_number(double value);

}  // namespace miao::measure
