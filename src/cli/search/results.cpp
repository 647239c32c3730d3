#include "cli/search/results.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "cli/terminal.h"

namespace miao::cli {

namespace {

constexpr size_t kFieldsWidth = 40;

// White space of any kind becomes one space.
std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || (c >= '\t' && c <= '\r');
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  return out;
}

std::string place(const search::Found& f) { return f.source + ":" + std::to_string(f.line); }

}  // namespace

std::string results_table(std::span<const search::Found> found) {
  const bool fields = std::any_of(found.begin(), found.end(), [](const auto& f) { return !f.fields.empty(); });
  std::vector<Table::Column> columns{{"#", true}, {"SCORE", true}, {"PLACE"}};
  if (fields) columns.push_back({"FIELDS"});
  columns.push_back({"TEXT"});
  Table table(columns);
  for (size_t i = 0; i < found.size(); ++i) {
    const search::Found& f = found[i];
    std::vector<std::string> cells{std::to_string(i + 1), fmt::format("{:.3f}", f.score), printable(place(f))};
    if (fields) cells.push_back(shorten(printable(f.fields), kFieldsWidth));
    cells.push_back(printable(one_line(f.text)));
    table.add(std::move(cells));
  }
  return table.str();
}

std::string results_json(const std::string& query, std::span<const search::Found> found, bool approximate) {
  Json object;
  object["query"] = query;
  object["method"] = approximate ? "approximate" : "exact";
  object["hits"] = Json::array();
  for (const search::Found& f : found) {
    Json hit;
    hit["score"] = f.score;
    hit["file"] = f.source;
    hit["line"] = f.line;
    hit["text"] = f.text;
    if (!f.fields.empty()) {
      if (auto fields = parse_json(f.fields, place(f)); fields.ok()) hit["fields"] = std::move(*fields);
    }
    object["hits"].push_back(std::move(hit));
  }
  return dump_json(object);
}

}  // namespace miao::cli
