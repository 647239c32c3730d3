#include "measure/chart.h"

#include <gtest/gtest.h>

#include <algorithm>

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

TEST(Chart, LogTicksCover) {
  EXPECT_EQ(log_ticks(1, 100), (std::vector<double>{1, 2, 5, 10, 20, 50, 100}));
  EXPECT_EQ(log_ticks(3, 40), (std::vector<double>{2, 5, 10, 20, 50}));
  EXPECT_EQ(log_ticks(3, 2500), (std::vector<double>{1, 10, 100, 1000, 10000}));
  EXPECT_EQ(log_ticks(1, 1), (std::vector<double>{1, 2}));
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{{0.07, 0.07}, {1e-9, 1e9}, {5, 5}, {20, 50}}) {
    const auto t = log_ticks(low, high);
    ASSERT_GE(t.size(), 2u);
    EXPECT_LE(t.front(), low * (1 + 1e-9));
    EXPECT_GE(t.back(), high * (1 - 1e-9));
    EXPECT_TRUE(std::ranges::is_sorted(t));
  }
}

TEST(Chart, DrawsEveryMarkAndEscapes) {
  const Chart chart{.title = "a < b & \"c\"",
                    .description = "what & why",
                    .x_label = "x",
                    .y_label = "y",
                    .series = {{.name = "fit", .points = {{1, 2}, {2, 3}}, .mark = Mark::line},
                               {.name = "limit", .points = {{1, 2}, {2, 3}}, .mark = Mark::dashes},
                               {.name = "seen", .points = {{1, 2, 1, 3, "<x>"}}, .mark = Mark::dots},
                               {.name = "all", .points = {{1, 2}, {2, 2}}, .mark = Mark::cloud},
                               {.name = "band", .points = {{1, 2, 1, 3}, {2, 3, 2, 4}}, .mark = Mark::band},
                               {.name = "bars", .points = {{1, 2, 0.5, 1.5, "1"}}, .mark = Mark::bars}}};
  const std::string out = svg(chart);
  EXPECT_EQ(count(out, "<polyline"), 2u);
  EXPECT_EQ(count(out, "<circle"), 3u);
  EXPECT_EQ(count(out, "<path"), 1u);  // the whisker
  EXPECT_EQ(count(out, "<polygon"), 1u);
  EXPECT_EQ(count(out, "<rect"), 1u);
  EXPECT_NE(out.find("<title>a &lt; b &amp; &quot;c&quot;</title><desc>what &amp; why</desc>"), std::string::npos);
  EXPECT_EQ(out.find("a < b"), std::string::npos);
  EXPECT_EQ(out.find("<x>"), std::string::npos);
  EXPECT_EQ(out.find("nan"), std::string::npos);
  EXPECT_NE(svg({.title = "t"}).find("nothing measured"), std::string::npos);
  EXPECT_EQ(svg({.series = {{.name = "one", .points = {{3, 0}}}}}).find("nan"), std::string::npos);
  EXPECT_EQ(svg({.series = {{.name = "one", .points = {{3, 7}}}}, .log_x = true, .log_y = true}).find("nan"),
            std::string::npos);
}

TEST(Chart, LogarithmicAxesGiveTheSameRoomToTheSameRatio) {
  const std::string out = svg({.series = {{.name = "s", .points = {{1, 1}, {10, 10}, {100, 100}}, .mark = Mark::line}},
                               .log_x = true,
                               .log_y = true});
  EXPECT_NE(out.find("points=\"62.0,290.0 322.0,151.0 582.0,12.0 \""), std::string::npos) << out;
}

TEST(Chart, IntervalsAreToldInWords) {
  const std::string out = svg("latency", "ms", {{"predicted", 5, 4, 6, 2}, {"measured", 5.5, 5, 6.5, 1}});
  EXPECT_NE(out.find("<desc>predicted 5 (4 to 6). measured 5.5 (5 to 6.5). </desc>"), std::string::npos);
  EXPECT_EQ(count(out, "<circle"), 2u);
  EXPECT_EQ(svg("latency", "ms", {{"same", 5, 5, 5, 1}}).find("nan"), std::string::npos);
}

TEST(Chart, ShortNumbers) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.01234), "0.0123");
  EXPECT_EQ(short_number(12.34), "12.3");
  EXPECT_EQ(short_number(1234.5), "1234");
}

}  // namespace
}  // namespace miao::measure
