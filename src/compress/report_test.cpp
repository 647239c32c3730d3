// The forms of a search's report, of a report that is made by hand.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "compress/compress_report.h"
#include "compress/quantize.h"

namespace miao::compress {
namespace {

size_t count(const std::string& text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

void expect_has(const std::string& text, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) EXPECT_NE(text.find(part), std::string::npos) << part;
}

// Self-contained, names are no markup, each chart has words, what is opened is closed, no figure is no number.
void expect_sound(const std::string& html) {
  EXPECT_EQ(html.find("a<b>"), std::string::npos);
  for (const char* wrong : {"<script src", "src=", "href=", "url(", "@import", "nan", "inf "})
    EXPECT_EQ(html.find(wrong), std::string::npos) << wrong;
  EXPECT_EQ(count(html, "http"), count(html, "http://www.w3.org/2000/svg"));
  EXPECT_EQ(count(html, "<figure>"), count(html, "<desc>"));
  for (const char* tag :
       {"div", "table", "tr", "td", "th", "figure", "details", "svg", "g", "text", "p", "h2", "pre"}) {
    const std::string open = std::string("<") + tag;
    EXPECT_EQ(count(html, open + ">") + count(html, open + " "), count(html, std::string("</") + tag + ">")) << tag;
  }
}

measure::Quality quality(double rise, double upper, measure::Outcome outcome) {
  measure::Quality q{.task = "text", .unit = "chunk", .item = "token", .units = 94, .items = 23970, .paired = true};
  using Form = measure::Metric::Form;
  q.metrics = {{"ppl", "perplexity", 40.92, measure::Interval{37.8, 43.9}},
               {"base_ppl", "perplexity of the base", 40.29, measure::Interval{37.2, 43.3}},
               {"ppl_rise", "rise of perplexity", rise, measure::Interval{0.5 * rise, upper}, Form::percent},
               {"kld_mean", "KL divergence, mean", 0.0185, measure::Interval{0.0177, 0.0194}},
               {"same_top1", "same likeliest token", 0.918, {}, Form::percent}};
  q.verdicts = {{.budget = *measure::parse_budget("ppl:2%"), .loss = {"ppl", rise, upper}, .outcome = outcome}};
  if (outcome == measure::Outcome::not_shown) q.verdicts[0].more = 1590;
  return q;
}

MatrixLoss matrix(const std::string& tensor, int64_t layer, double loss) {
  return {.tensor = tensor,
          .layer = layer,
          .shape = {8, 32},
          .probe = DType::q4_0,
          .probe_loss = loss,
          .types = {{DType::f16, 512, 0, 0}, {DType::q4_0, 144, 1, loss}, {DType::q8_0, 272, 0.1, loss / 100}}};
}

Allocation allocation(double loss, double seconds, double bytes) {
  Allocation a;
  a.total = {loss, seconds, seconds / 4, bytes, seconds / 500, bytes + 20e6};
  return a;
}

Candidate candidate(int number, DType type, double seconds) {
  Candidate c{.name = fmt::format("candidate {}", number), .types = {}};
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.ffn_down.weight", "blk.10.attn_q.weight", "output.weight"})
    c.types[name] = type;
  c.predicted = {0.02, seconds, seconds / 4, 110e6};
  c.bytes = 110'000'000, c.memory = 125'000'000;
  c.quality = quality(0.016, 0.018, measure::Outcome::passes);
  c.speeds = Speeds{.base = {0.45, 0.0125}, .own = {0.16, 0.005}, .ratio = 2.57, .ratio_low = 2.44};
  return c;
}

CompressReport report() {
  CompressReport r;
  r.model = "models/a<b>.gguf", r.architecture = "llama", r.sha256 = "3f2c", r.text_name = "a<b>|`x`.txt";
  r.sets = {{"calibration", 64, 512, 32768},
            {"search", 8, 256, 2048},
            {"verification", 94, 512, 48128},
            {"final", 116, 512, 59392}};
  r.budgets.losses = {*measure::parse_budget("ppl:2%"), *measure::parse_budget("kld:0.03")};
  r.budgets.speed = 2;
  r.budgets.size_share = 0.5;
  r.threads = 2;
  r.base_bytes = 270'000'000, r.base_memory = 290'000'000;
  r.matrices = {matrix("blk.0.ffn_down.weight", 0, 0.004), matrix("blk.0.attn_q.weight", 0, 0.0001),
                matrix("blk.10.attn_q.weight", 10, 0.0002), matrix("output.weight", kOutside, 0.09)};
  TimeTable::Data times;
  times.rest = {0.05, 0.001};
  times.kinds = {{"qkv", 100, {{DType::f16, {0.065, 0.0013}}, {DType::q4_0, {0.018, 0.0005}}}},
                 {"down", 100, {{DType::f16, {0.096, 0.0021}}, {DType::q8_0, {0.027, 0.0015}}}}};
  r.times = TimeTable(times);
  r.kv = {{kernels::KvType::f16, 0, {}, 0}, {kernels::KvType::int8, 0.0003, {0.002, -0.0001}, -6912000}};
  r.front_time = {allocation(0, 1.87, 270e6), allocation(0.01, 1.1, 130e6), allocation(0.2, 0.77, 78e6)};
  r.front_size = {allocation(0, 1.87, 270e6), allocation(0.02, 1.1, 110e6), allocation(0.17, 0.82, 77e6)};
  r.front_memory = r.front_size;
  r.references = {{"Q4_K_M", {}, {0.042, 0.99, 0.18, 105e6}, 0.0426},
                  {"Q4_0", {}, {0.17, 0.83, 0.16, 92e6}, 0.1726},
                  {"inverted ranking", {}, {0.027, 0.99, 0.18, 110e6}, 0.069}};
  r.additivity = {{0.01, 0.02, 0.03}, {0.011, 0.019, 0.032}, 1, 1.02};
  r.candidates = {candidate(1, DType::q8_0, 0.99), candidate(2, DType::q4_0, 0.94)};
  for (Candidate& c : r.candidates) c.kv = kernels::KvType::int8;
  r.candidates[0].misses = {"ppl:2% is 0.01907, with 95 % confidence below 0.02167"};
  r.candidates[0].quality = quality(0.01907, 0.02167, measure::Outcome::not_shown);
  r.chosen = 1;
  r.final_quality = quality(0.0158, 0.0181, measure::Outcome::passes);
  for (const double pass : {0.002, 0.001}) {
    measure::LatencyReport& l = r.latency.emplace_back();
    l.lengths = "uniform:1:9", l.mean_length = 5;
    l.points = {{1, pass, pass, 2 * pass}, {9, 9 * pass, 8 * pass, 11 * pass}};
    l.tau.seconds[measure::kToken] = pass;
    l.predicted = {5 * pass, {4 * pass, 6 * pass}};
  }
  r.kept = true;
  r.file = "out/model.gguf", r.main_type = "Q4_0", r.seconds = 900;
  return r;
}

ReportContext context() {
  ReportContext c{
      .version = "0.1.0", .date = "2026-01-31 12:00 UTC", .command = "miao compress 'a<b>.gguf' -o out", .machine = {}};
  c.machine.brand = "Processor a<b>";
  return c;
}

TEST(CompressPage, SaysWhatWasFoundAndIsSound) {
  const std::string html = to_html(report(), context());
  expect_sound(html);
  expect_has(html, {"a&lt;b&gt;.gguf: All budgets are kept",
                    "2.57 times as fast (above 2.44 with 95 % confidence)",
                    "the rise of perplexity is 1.580 % (below 1.810 %)",  // verdict
                    "Loss against time",
                    "Loss against size",
                    "Loss against memory",
                    "budget of speed",
                    "budget of size",
                    "budget of loss",
                    ">Q4_K_M</text>",
                    ">inverted ranking</text>",
                    ">chosen</text>",                     // marks with their names
                    "candidates, predicted candidate 2",  // tooltips
                    "blk.10.attn_q.weight: Q4_0; in Q4_0 alone it loses 0.0002",
                    ">layer 10</text>",
                    "rank correlation (Spearman) of 1.000; measured is 1.02 of predicted",
                    "Keys and values, beside the model as it is",
                    "-6.9",
                    "Lengths of inputs",
                    "uniform:1:9, 5.0 tokens",
                    "Latency over the length of an input",
                    "base, fitted",
                    "E[tau(n)], ms",
                    "4 to 6",
                    "Time of candidates",
                    "ppl:2% is 0.01907, with 95 % confidence below 0.02167",
                    "Processor a&lt;b&gt;",
                    "3f2c",
                    "miao compress 'a&lt;b&gt;.gguf' -o out",
                    "no energy counter",
                    "10 CPU-ms, the base 25 CPU-ms",
                    "37.800 to 43.900"});
}

// Layers in their order, not in that of names; kinds as a block computes them; what is outside below.
TEST(CompressPage, MatricesStandInTheirLayers) {
  const std::string html = to_html(report(), context());
  const auto at = [&](const char* what) { return html.find(what); };
  EXPECT_LT(at(">layer 0</text>"), at(">layer 10</text>"));
  EXPECT_LT(at(">layer 10</text>"), at(">output</text>"));
  EXPECT_LT(at(">q</text>"), at(">down</text>"));
  EXPECT_EQ(count(html, "<g><title>"), 4u);  // layer 10 has no ffn_down
}

TEST(CompressPage, MissesAreNamed) {
  CompressReport r = report();
  r.kept = false;
  r.chosen = 0;
  r.file = "out/nearest.gguf";
  r.misses = r.candidates[0].misses;
  r.budgets.size = 100e6;
  r.final_quality = quality(0.01907, 0.02167, measure::Outcome::not_shown);
  const std::string html = to_html(r, context());
  expect_sound(html);
  expect_has(html, {"Not all budgets are kept", "Missed: nearest.gguf is the nearest that was found",
                    "missed: ppl:2% is 0.01907", "not shown; about 1590 more chunks would show it", ">missed<"});
  expect_has(to_markdown(r, context()), {"Missed: nearest.gguf", "not shown; about 1590 more chunks", "| missed |"});
}

TEST(CompressPage, MarkdownSaysTheSame) {
  const std::string text = to_markdown(report(), context());
  expect_has(text, {"# a&lt;b>.gguf: All budgets are kept", "2.57 times as fast", "| Q4_K_M |",
                    "| candidate 2 (chosen) |", "| 10 | Q4_0 |", "Expected latency over lengths of inputs",
                    "| 5 (4 to 6) |", "(Spearman) of 1.000", "10 CPU-ms", "    miao compress 'a<b>.gguf' -o out\n"});
  // All rows of a table have as many cells as its head.
  size_t cells = 0, tables = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.empty() || line[0] != '|') {
      cells = 0;
    } else {
      if (cells == 0) cells = count(line, "|") - count(line, "\\|"), ++tables;
      EXPECT_EQ(count(line, "|") - count(line, "\\|"), cells) << line;
    }
    at = end + 1;
  }
  EXPECT_GE(tables, 10u);
}

// A search that was interrupted, or is of another kind, has parts missing, one or all.
TEST(CompressPage, PartsMayBeMissing) {
  const auto sound = [](auto change) {
    CompressReport r = report();
    change(r);
    expect_sound(to_html(r, context()));
    EXPECT_EQ(to_markdown(r, context()).find("nan"), std::string::npos);
  };
  sound([](CompressReport& r) { r.candidates.clear(), r.chosen = -1, r.final_quality.reset(); });
  sound([](CompressReport& r) { r.candidates.clear(); });  // chosen points nowhere
  sound([](CompressReport& r) { r.references.clear(), r.additivity = {}; });
  sound([](CompressReport& r) { r.front_time.clear(), r.front_size.clear(), r.front_memory.clear(); });
  sound([](CompressReport& r) { r.matrices.clear(), r.times.reset(), r.sets.clear(); });
  sound([](CompressReport& r) { r.matrices.erase(r.matrices.begin(), r.matrices.end() - 1); });  // none in a layer
  sound([](CompressReport& r) {
    for (Candidate& c : r.candidates) c.speeds.reset(), c.quality.reset(), c.types.clear();
  });
  sound([](CompressReport& r) {
    for (MatrixLoss& m : r.matrices) m.probe_loss = 0;
  });
  sound([](CompressReport& r) { r.latency.clear(); });
  sound([](CompressReport& r) { r.request = {.prompt = 0, .gen = 0}; });
  const std::string html = to_html({}, {});
  expect_sound(html);
  expect_has(html, {"No model was built"});
  expect_has(to_markdown({}, {}), {"No model was built"});
}

}  // namespace
}  // namespace miao::compress
