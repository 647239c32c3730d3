// Pieces of an HTML page of figures: its frame and style, tables, and charts with legend and the same figures as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "measure/chart.h"

namespace miao::measure {

// A whole page. Self-contained: no scripts, no other files; light or dark as the reader's system.
std::string page(std::string_view title, std::string_view body);

struct Cell {
  std::string text;
  bool number = false;
  std::string note = {};  // below, in small letters
};
inline Cell number(std::string text, std::string note = {}) { return {std::move(text), true, std::move(note)}; }

std::string table(const std::vector<Cell>& head, const std::vector<std::vector<Cell>>& rows);

// A chart under its title and legend; `details` is HTML that a reader may open. Empty = the points of its dots and bars
// as a table.
std::string figure(const Chart& chart, std::string details = {});
std::string figure(std::string_view title, std::string_view svg);
// Figures side by side where the page is wide enough.
std::string side_by_side(std::string_view figures);

}  // namespace miao::measure
