// Heat maps as inline SVG, in the style of charts (chart.h): a table of positive values, the larger the stronger their
// colour, on a logarithmic scale that stands below. Values that are not positive have no colour.
#pragma once

#include <string>
#include <vector>

namespace miao::measure {

struct HeatCell {
  std::string text, tip;  // in it (empty: no cell), and in its tooltip
  double value = 0;
};
struct HeatMap {
  struct Row {
    std::string name;
    std::vector<HeatCell> cells;
    bool whole = false;  // its one cell is as wide as all columns
  };
  std::string title, description, value_label;
  std::vector<std::string> columns;  // "attn_output" takes two lines
  std::vector<Row> rows;
};
std::string svg(const HeatMap& map);

}  // namespace miao::measure
