// Pieces of SVG that all charts are made of. Coordinates are those of the view box.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "measure/chart.h"

namespace miao::measure {

constexpr double kChartWidth = 600;

std::string svg_begin(std::string_view title, std::string_view description, double width, double height);
std::string svg_text(double x, double y, const char* anchor, const char* css, std::string_view words);
std::string svg_line(const char* css, double x1, double y1, double x2, double y2);
std::string svg_colour(int index);  // 0 = muted

struct Range {
  double low = std::numeric_limits<double>::max(), high = -low;
  void add(double v) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
};

// Names of marks, each where it covers neither a mark nor another name, as far as there is room: beside its mark, else
// farther off with a line that leads to it.
class Labels {
 public:
  struct Box {
    double left, top, right, bottom;
  };
  explicit Labels(Box picture) : picture_(picture) {}
  void keep_off(double x, double y, double radius) {
    taken_.push_back({x - radius, y - radius, x + radius, y + radius});
  }
  std::string put(double x, double y, bool to_the_left, std::string_view words);

 private:
  double cost(const Box& box) const;

  Box picture_;
  std::vector<Box> taken_;
};

}  // namespace miao::measure
