#include "measure/chart.h"

#include <gtest/gtest.h>

namespace miao::measure {
namespace {

size_t count(const std::string& text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(Chart, TicksAreRoundAndCover) {
  EXPECT_EQ(ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(ticks(16, 128, 8).front(), 0);
  EXPECT_EQ(ticks(16, 128, 8).back(), 140);
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{{0, 0}, {5, 5}, {0, 1e-6}, {0, 3e9}, {-4, 7}}) {
    const auto t = ticks(low, high, 6);
    ASSERT_GE(t.size(), 2u);
    EXPECT_LE(t.size(), 16u);
    EXPECT_LE(t.front(), low);
    EXPECT_GE(t.back(), high);
  }
}

TEST(Chart, DrawsEverySeriesAndEscapes) {
  const Chart chart{.title = "a < b & \"c\"",
                    .x_label = "x",
                    .y_label = "y",
                    .series = {{.name = "fit", .points = {{1, 2}, {2, 3}}, .dots = false},
                               {.name = "seen", .points = {{1, 2}}, .line = false}}};
  const std::string out = svg(chart);
  EXPECT_EQ(count(out, "<polyline"), 1u);
  EXPECT_EQ(count(out, "<circle"), 1u);
  EXPECT_NE(out.find("a &lt; b &amp; &quot;c&quot;"), std::string::npos);
  EXPECT_EQ(out.find("a < b"), std::string::npos);
  EXPECT_EQ(out.find("nan"), std::string::npos);
  EXPECT_NE(svg({.title = "t"}).find("nothing measured"), std::string::npos);
  EXPECT_EQ(svg({.series = {{.name = "one", .points = {{3, 0}}}}}).find("nan"), std::string::npos);
}

TEST(Chart, ShortNumbers) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.01234), "0.0123");
  EXPECT_EQ(short_number(12.34), "12.3");
  EXPECT_EQ(short_number(1234.5), "1234");
}

}  // namespace
}  // namespace miao::measure
