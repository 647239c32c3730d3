#include "measure/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "measure/chart/svg.h"

namespace miao::measure {

namespace {

constexpr double kNames = 92, kHead = 40, kRow = 20, kFoot = 58, kLeastCell = 54;
constexpr double kFaint = 0.05, kStrong = 0.6;  // opacity: words stay readable, on light and dark pages

double strength(double value, const Range& range) {
  const double span = std::log(range.high / range.low);
  const double at = span > 0 ? std::log(value / range.low) / span : 1;
  return kFaint + (kStrong - kFaint) * std::clamp(at, 0.0, 1.0);
}

std::string cell(const HeatCell& c, const Range& range, double x, double y, double width) {
  std::string out = fmt::format(
      "<g><title>{}</title><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"2\" "
      "fill=\"var(--s1)\" fill-opacity=\"{:.2f}\"/>\n",
      escape_html(c.tip), x, y, width - 2, kRow - 2, c.value > 0 ? strength(c.value, range) : 0);
  return out + svg_text(x + width / 2 - 1, y + kRow - 6, "middle", "cell", c.text) + "</g>\n";
}

// What colours mean: steps from faint to strong with round values below.
std::string scale(const HeatMap& map, const Range& range, double width, double y) {
  constexpr int kSteps = 40;
  const double left = kNames, step = (width - kNames - 12) / kSteps;
  const double span = std::log(range.high / range.low);
  std::string out;
  for (int i = 0; i < kSteps; ++i) {
    const double value = range.low * std::exp(span * (i + 0.5) / kSteps);
    out += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"8\" fill=\"var(--s1)\" fill-opacity=\"{:.2f}\"/>\n",
        left + i * step, y, step, strength(value, range));
  }
  double last = -1e9;
  for (const double tick : log_ticks(range.low, range.high)) {
    const double x = left + (span > 0 ? std::log(tick / range.low) / span : 0) * kSteps * step;
    if (tick < range.low || tick > range.high || x < last + 50) continue;
    out += svg_text(x, y + 22, "middle", "axis", short_number(tick));
    last = x;
  }
  return out + svg_text(left + kSteps * step / 2, y + 40, "middle", "axis", map.value_label);
}

}  // namespace

std::string svg(const HeatMap& map) {
  const double columns = std::max<double>(1, static_cast<double>(map.columns.size()));
  const double width = std::max(kChartWidth, kNames + 12 + kLeastCell * columns);
  const double each = (width - kNames - 12) / columns;
  const double bottom = kHead + kRow * static_cast<double>(map.rows.size());
  std::string out = svg_begin(map.title, map.description, width, bottom + kFoot);
  Range range;
  for (const HeatMap::Row& row : map.rows) {
    for (const HeatCell& c : row.cells) {
      if (c.value > 0) range.add(c.value);
    }
  }
  for (size_t i = 0; i < map.columns.size(); ++i) {  // a word a line
    const double x = kNames + each * (static_cast<double>(i) + 0.5) - 1;
    const std::string& name = map.columns[i];
    const size_t cut = name.find('_');
    if (cut != std::string::npos) out += svg_text(x, kHead - 24, "middle", "axis", name.substr(0, cut));
    out += svg_text(x, kHead - 9, "middle", "axis", cut == std::string::npos ? name : name.substr(cut + 1));
  }
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const HeatMap::Row& row = map.rows[r];
    const double y = kHead + kRow * static_cast<double>(r);
    out += svg_text(kNames - 8, y + kRow - 6, "end", "axis", row.name);
    for (size_t i = 0; i < row.cells.size(); ++i) {
      if (row.cells[i].text.empty()) continue;
      out += cell(row.cells[i], range, kNames + each * static_cast<double>(i), y, row.whole ? each * columns : each);
    }
  }
  if (range.high > 0) out += scale(map, range, width, bottom + 12);
  return out + "</svg>\n";
}

}  // namespace miao::measure
