#include "measure/heat_map.h"

#include <gtest/gtest.h>

#include "measure/chart.h"
#include "measure/page.h"

namespace miao::measure {
namespace {

size_t count(const std::string& text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(HeatMap, StrongerColoursForLargerValuesByTheirRatio) {
  const HeatMap map{.title = "t",
                    .description = "d",
                    .value_label = "loss",
                    .columns = {"attn_q", "down"},
                    .rows = {{"0", {{"A", "first", 0.001}, {"B", "second", 0.01}}},
                             {"1", {{"C", "third <x>", 0.1}, {}}},
                             {"whole", {{"D", "fourth", 0}}, true}}};
  const std::string out = svg(map);
  EXPECT_EQ(count(out, "<g><title>"), 4u);  // no cell where there is no text
  const auto opacity = [&](const char* tip) {
    const size_t at = out.find("fill-opacity=\"", out.find(std::string("<title>") + tip));
    return std::stod(out.substr(at + 14));
  };
  EXPECT_LT(opacity("first"), opacity("second"));
  EXPECT_NEAR(opacity("third") - opacity("second"), opacity("second") - opacity("first"), 0.011);
  EXPECT_EQ(opacity("fourth"), 0);
  EXPECT_NE(out.find("third &lt;x&gt;"), std::string::npos);
  EXPECT_NE(out.find(">attn</text>"), std::string::npos);
  EXPECT_NE(out.find(">0.01</text>"), std::string::npos);  // of the scale
  EXPECT_EQ(out.find("nan"), std::string::npos);
}

TEST(HeatMap, OneValueAndNone) {
  HeatMap map{.title = "t", .rows = {{"0", {{"A", "a", 0.5}}}}};
  map.columns = {"c"};
  EXPECT_EQ(svg(map).find("nan"), std::string::npos);
  map.rows[0].cells[0].value = 0;
  EXPECT_EQ(svg(map).find("nan"), std::string::npos);
  EXPECT_EQ(svg(HeatMap{}).find("nan"), std::string::npos);
}

// Marks at one place: their names do not cover each other, and stay in the picture.
TEST(Chart, NamesKeepOffEachOther) {
  Chart chart{.series = {{.name = "s", .points = {}, .mark = Mark::dots}}};
  for (const char* name : {"Q4_K_M", "Q4_K_S", "Q5_0", "random ranking"})
    chart.series[0].points.push_back({.x = 10, .y = 5, .label = name});
  chart.series[0].points.push_back({.x = 20, .y = 1, .label = "at the edge"});
  const std::string out = svg(chart);
  struct Name {
    double left, right, y;
  };
  std::vector<Name> names;
  for (size_t at = 0; (at = out.find("class=\"label\">", at)) != std::string::npos; ++at) {
    const size_t begin = out.rfind("<text", at);
    const auto value = [&](const char* key) { return out.substr(out.find(key, begin) + std::string_view(key).size()); };
    const double x = std::stod(value("x=\"")), width = 7.0 * static_cast<double>(value("label\">").find('<'));
    const char anchor = value("anchor=\"")[0];
    const double left = x - (anchor == 'e' ? width : anchor == 'm' ? width / 2 : 0);
    names.push_back({left, left + width, std::stod(value("y=\""))});
  }
  ASSERT_EQ(names.size(), 5u);
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_GE(names[i].left, 0);
    EXPECT_LE(names[i].right, 600);
    for (size_t k = 0; k < i; ++k) {
      const bool beside = names[i].left >= names[k].right || names[k].left >= names[i].right;
      EXPECT_TRUE(beside || std::abs(names[i].y - names[k].y) >= 13) << i << " and " << k;
    }
  }
}

TEST(Page, MarkdownTablesHoldWhatTheirCellsSay) {
  EXPECT_EQ(markdown_table({{"name"}, number("ms", "median")}, {{{"a|b<c>\nd"}, number("1.5", "1 to 2")}}),
            "| name | ms (median) |\n|:--|--:|\n| a\\|b&lt;c> d | 1.5 (1 to 2) |\n");
}

}  // namespace
}  // namespace miao::measure
