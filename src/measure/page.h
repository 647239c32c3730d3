// Pieces of an HTML page of figures: its frame and style, tables, and charts with legend and the same figures as text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "measure/chart.h"

namespace miao::measure {

// A whole page. Self-contained: no other files; light or dark as the reader's system. Nothing hangs on its script,
// which lets a reader hide series and tells what is under the pointer.
std::string page(std::string_view title, std::string_view body);

struct Cell {
  std::string text;
  bool number = false;
  std::string note = {};  // below, in small letters
};
inline Cell number(std::string text, std::string note = {}) { return {std::move(text), true, std::move(note)}; }

std::string table(const std::vector<Cell>& head, const std::vector<std::vector<Cell>>& rows);
// The same for Markdown, notes in brackets.
std::string markdown_table(const std::vector<Cell>& head, const std::vector<std::vector<Cell>>& rows);
// Where the time of `tokens` tokens went, by kind of step; empty without steps.
std::string profile_table(std::string_view title, const std::vector<std::pair<std::string, double>>& seconds,
                          double tokens);

// A chart under its title and legend; `details` is HTML that a reader may open. Empty = the points of its dots and bars
// as a table.
std::string figure(const Chart& chart, std::string details = {});
std::string figure(std::string_view title, std::string_view svg, std::string details = {});
// Figures side by side where the page is wide enough.
std::string side_by_side(std::string_view figures);

}  // namespace miao::measure
