#include "measure/report.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace miao::measure {
namespace {

BenchRow row(int threads, double decode) {
  BenchRow out;
  out.what = {.prompt = 64, .gen = 4, .batch = 2, .depth = 8};
  out.threads = threads;
  out.prefill_seconds = {0.5, 0.6};
  out.decode_seconds = {8 / decode, 8 / decode};
  out.step_seconds = {0.01, 0.02, 0.03, 0.04};
  out.prefill_tok_s = {200, 190, 210};
  out.decode_tok_s = {decode, decode, decode};
  out.ttft_ms = 550;
  out.peak_rss = 123456789;
  out.roofline = {.bytes_per_token = 1e8,
                  .read = 2e10,
                  .decode_share = 0.5,
                  .ops_per_token = 2e8,
                  .peak = 1e12,
                  .peak_name = "AMX int8",
                  .prefill_share = 0.25};
  return out;
}

BenchReport report() {
  BenchReport out;
  out.version = "0.1.0";
  out.model = "a<b>.gguf";
  out.family = "llama";
  out.isa = "avx512";
  out.kv = "F16";
  out.kernels = {{"qkv", "Q4_0", "q4_0.avx512.gemv", "q4_0.avx512.vnni", 1000}};
  out.machine.isas = {"scalar", "avx512"};
  out.rows = {row(1, 50)};
  LatencyReport latency;
  latency.lengths = "uniform:1:8";
  latency.points = {{1, 0.001}, {8, 0.008}};
  latency.tau = {.b = 0.001};
  latency.predicted = 0.0045;
  latency.measured = 0.005;
  latency.batch = 4;
  out.latency = {latency};
  return out;
}

TEST(Report, OneRowStandsInTheObject) {
  const Json json = to_json(report());
  EXPECT_EQ(json["decode_tok_s"]["median"], 50);
  EXPECT_EQ(json["prefill_tok_s"]["max"], 210);
  EXPECT_EQ(json["peak_rss_bytes"], 123456789);
  EXPECT_EQ(json["roofline"]["decode_share"], 0.5);
  EXPECT_EQ(json["kernels"][0]["gemv"], "q4_0.avx512.gemv");
  EXPECT_NEAR(json["latency"][0]["error"].get<double>(), -0.1, 1e-9);
  EXPECT_FALSE(json.contains("rows"));
  EXPECT_TRUE(json["warnings"].empty());
  EXPECT_TRUE(parse_json(dump_json(json), "self").ok());
}

TEST(Report, SeveralRowsAndWhatWasNotMeasured) {
  BenchReport r = report();
  r.rows.push_back(row(2, 80));
  r.rows[1].prefill_seconds.clear();
  const Json json = to_json(r);
  ASSERT_EQ(json["rows"].size(), 2u);
  EXPECT_TRUE(json["rows"][1]["prefill_tok_s"].is_null());
  EXPECT_TRUE(json["rows"][1]["ttft_ms"].is_null());
  EXPECT_FALSE(json.contains("decode_tok_s"));
}

TEST(Report, Warnings) {
  BenchReport r = report();
  r.machine.load = 3;
  r.kernels.push_back({"down", "Q2_K", "q2_k.scalar", "q2_k.scalar", 10});
  r.rows[0].decode_tok_s = {50, 40, 60};
  EXPECT_EQ(warnings(r).size(), 3u);
  r.isa = "scalar";
  EXPECT_NE(warnings(r)[0].find("avx512"), std::string::npos);
}

TEST(Report, PagesAreSelfContained) {
  BenchReport r = report();
  r.rows.push_back(row(2, 80));
  r.rows[0].decode_profile = {{"qkv", 0.5}};
  const std::string html = to_html(r);
  EXPECT_EQ(html.find("a<b>"), std::string::npos);
  EXPECT_NE(html.find("a&lt;b&gt;"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("src="), std::string::npos);
  EXPECT_EQ(html.find("href="), std::string::npos);
  EXPECT_NE(html.find("Decode speed"), std::string::npos);  // the rows differ in threads
  EXPECT_EQ(html.find("nan"), std::string::npos);
  const std::string markdown = to_markdown(r);
  EXPECT_NE(markdown.find("| 80.0 (80.0 - 80.0) |"), std::string::npos);
}

}  // namespace
}  // namespace miao::measure
