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
  out.itl_p50_ms = 25, out.itl_p95_ms = 38, out.itl_p99_ms = 39.5;
  out.roofline = {.limits = {.read = 2e10, .read_bytes = 100'000'000, .fp32 = 1e11, .int8 = 5e11, .amx = 1e12},
                  .bytes_per_token = 1e8,
                  .decode_ops_per_token = 2.5e8,
                  .prefill_ops_per_token = 2e8,
                  .peak = {1e12, "AMX int8", true},
                  .decode = {.ops_per_byte = 2, .ops_per_second = 2e10, .share = 0.5},
                  .prefill = {.ops_per_byte = 200, .ops_per_second = 2.5e11, .share = 0.25},
                  .vector_share = 0.5};
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
  latency.threads = 2;
  latency.mean_length = 4.5;
  latency.distribution = {{1, 0.5}, {8, 0.5}};
  latency.points = {{1, 0.001, 0.001, 0.002}, {8, 0.008, 0.007, 0.009}};
  latency.tau = {.seconds = {0, 0.001}};
  latency.error = {.r2 = 0.999, .mean = 0.01, .largest = 0.02, .largest_at = 8, .left_out = 0.03};
  latency.inputs = {{1, 0.001}, {8, 0.009}};
  latency.predicted = {0.0045, {0.0044, 0.0046}};
  latency.measured = {0.005, {0.0045, 0.0055}};
  latency.difference = {-0.1, {-0.12, 0.01}};
  latency.batch = 4;
  latency.batch_seconds = {0.016, {0.015, 0.017}};
  latency.batch_inputs_per_second = 250;
  out.latency = {latency};
  return out;
}

// The same of an encoder: random inputs of two lengths, and texts.
BenchReport encoder_report() {
  BenchReport out = report();
  out.rows.clear();
  out.latency.clear();
  out.kv.clear();
  EncodeRow row{.inputs = 4, .tokens = 96, .batch = 2, .threads = 2};
  row.seconds = {0.1, 0.1};
  row.pass_seconds = {0.05, 0.05, 0.05, 0.06};
  row.tok_s = {960, 960, 960};
  row.inputs_s = {40, 39, 41};
  row.pass_p50_ms = 50, row.pass_p90_ms = 57, row.pass_p99_ms = 59.5;
  row.peak_rss = 123456789;
  row.limits = {.read = 2e10, .read_bytes = 100'000'000, .fp32 = 1e11, .int8 = 5e11};
  row.peak = {1e11, "FP32", false};
  row.ops_per_token = 2e7;
  row.load = {.ops_per_byte = 24, .ops_per_second = 1.92e10, .share = 0.192};
  row.profile = {{"qkv", 0.5}};
  out.encodes = {row, row, row};
  out.encodes[1].tokens = 400;
  out.encodes[2].texts = "a<b>.txt";
  out.encodes[2].tokenising_seconds = {0.01, 0.01};
  out.encodes[2].whole_inputs_s = {36, 35, 37};
  return out;
}

TEST(Report, RowsOfAnEncoder) {
  BenchReport r = encoder_report();
  const Json json = to_json(r);
  ASSERT_EQ(json["rows"].size(), 3u);
  EXPECT_TRUE(json["kv"].is_null());
  EXPECT_TRUE(json["rows"][0]["texts"].is_null());
  EXPECT_EQ(json["rows"][0]["mean_tokens"], 24);
  EXPECT_EQ(json["rows"][0]["pass_ms"]["p90"], 57);
  EXPECT_TRUE(json["rows"][0]["inputs_s_with_tokenising"].is_null());
  EXPECT_EQ(json["rows"][2]["texts"], "a<b>.txt");
  EXPECT_EQ(json["rows"][2]["inputs_s_with_tokenising"]["median"], 36);
  EXPECT_EQ(json["rows"][2]["roofline"]["encode"]["share"], 0.192);
  EXPECT_TRUE(json["warnings"].empty());
  r.encodes.resize(1);
  EXPECT_EQ(to_json(r)["inputs_s"]["median"], 40);  // one row stands in the object too
  r.encodes[0].tok_s = {960, 800, 1000};
  EXPECT_EQ(warnings(r), std::vector<std::string>{"speed at 24 tokens, batch 2, 2 threads varies by 21 %"});
  EXPECT_NE(to_markdown(encoder_report()).find(R"(
| inputs | threads | inputs/s | tokens/s | of peak | with tokenising, inputs/s | pass p50 / p90 / p99 ms | peak memory MB |
|:--|--:|--:|--:|--:|--:|--:|--:|
| 24 tokens, batch 2 | 2 | 40.0 (39.0 - 41.0) | 960 | 19 % | - | 50.000 / 57.000 / 59.500 | 123 |
| 100 tokens, batch 2 | 2 | 40.0 (39.0 - 41.0) | 960 | 19 % | - | 50.000 / 57.000 / 59.500 | 123 |
| a<b>.txt, batch 2 | 2 | 40.0 (39.0 - 41.0) | 960 | 19 % | 36.0 (35.0 - 37.0) | 50.000 / 57.000 / 59.500 | 123 |

Limits with 2 threads: reads 20.0 GB/s, FP32 peak 100 GOPS
)"),
            std::string::npos);
}

// The same of an encoder-decoder: two batches of one search, and another search.
BenchReport seq2seq_report() {
  BenchReport out = report();
  out.rows.clear();
  out.latency.clear();
  Seq2SeqRow row{.what = {.prompt = 32, .gen = 16, .batch = 1, .beams = 4}, .threads = 2};
  row.encode_seconds = {0.01, 0.01};
  row.search_seconds = {0.1, 0.1};
  row.encode_tok_s = {3200, 3100, 3300};
  row.written_tok_s = {160, 155, 165};
  row.latency_p50_ms = 110, row.latency_p90_ms = 118;
  row.peak_rss = 123456789;
  row.profile = {{"cross_attn", 0.5}};
  out.seq2seqs = {row, row, row};
  out.seq2seqs[1].what.batch = 16;
  out.seq2seqs[2].what.beams = 1;
  return out;
}

TEST(Report, RowsOfAnEncoderDecoder) {
  BenchReport r = seq2seq_report();
  const Json json = to_json(r);
  ASSERT_EQ(json["rows"].size(), 3u);
  EXPECT_EQ(json["kv"], "F16");
  EXPECT_EQ(json["rows"][1]["batch"], 16);
  EXPECT_EQ(json["rows"][2]["beams"], 1);
  EXPECT_TRUE(json["warnings"].empty());
  r.seq2seqs.resize(1);
  const Json one = to_json(r);  // one row stands in the object too
  EXPECT_EQ(one["latency_ms"]["p90"], 118);
  EXPECT_EQ(one["written_tok_s"]["median"], 160);
  EXPECT_EQ(one["encode_tok_s"]["max"], 3300);
  EXPECT_EQ(one["search_seconds"].size(), 2u);
  EXPECT_EQ(one["profile_s"]["cross_attn"], 0.5);
  r.seq2seqs[0].written_tok_s = {160, 120, 165};
  EXPECT_EQ(warnings(r),
            std::vector<std::string>{"search at 32 to 16 tokens, beam 4, batch 1, 2 threads varies by 28 %"});
  EXPECT_NE(to_markdown(seq2seq_report()).find(R"(
| prompt | gen | batch | beams | threads | encode tok/s | written tok/s | latency p50 / p90 ms | peak memory MB |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| 32 | 16 | 1 | 4 | 2 | 3200.0 (3100.0 - 3300.0) | 160.0 (155.0 - 165.0) | 110.00 / 118.00 | 123 |
)"),
            std::string::npos);
}

TEST(Report, OneRowStandsInTheObjectToo) {
  const Json json = to_json(report());
  EXPECT_EQ(json["schema"], kSchema);
  EXPECT_EQ(json["decode_tok_s"]["median"], 50);
  EXPECT_EQ(json["prefill_tok_s"]["max"], 210);
  EXPECT_EQ(json["itl_ms"]["p95"], 38);
  EXPECT_EQ(json["peak_rss_bytes"], 123456789);
  EXPECT_EQ(json["roofline"]["decode"]["share"], 0.5);
  EXPECT_EQ(json["limits"]["amx_int8_ops_per_s"], 1e12);
  EXPECT_EQ(json["kernels"][0]["gemv"], "q4_0.avx512.gemv");
  ASSERT_EQ(json["rows"].size(), 1u);
  for (const auto& [name, value] : json["rows"][0].items()) EXPECT_EQ(json[name], value) << name;
  EXPECT_TRUE(json["warnings"].empty());
  EXPECT_TRUE(parse_json(dump_json(json), "self").ok());
}

TEST(Report, LatencyStandsSideBySide) {
  const Json json = to_json(report())["latency"][0];
  EXPECT_EQ(json["predicted_ms"], 4.5);
  EXPECT_EQ(json["measured_ms"], 5);
  EXPECT_EQ(json["measured_ci95_ms"][1], 5.5);
  EXPECT_EQ(json["error"], -0.1);
  EXPECT_EQ(json["within_noise"], true);
  EXPECT_EQ(json["tau"]["seconds"]["token"], 0.001);
  EXPECT_EQ(json["tau"]["formula_ms"], "1 n");
  EXPECT_EQ(json["tau"]["left_out_error"], 0.03);
  EXPECT_EQ(json["batch_ms"], 16);
  EXPECT_EQ(json["inputs_tokens_ms"][1][0], 8);
}

TEST(Report, SeveralRowsAndWhatWasNotMeasured) {
  BenchReport r = report();
  r.rows.push_back(row(2, 80));
  r.rows[1].prefill_seconds.clear();
  const Json json = to_json(r);
  ASSERT_EQ(json["rows"].size(), 2u);
  EXPECT_TRUE(json["rows"][1]["prefill_tok_s"].is_null());
  EXPECT_TRUE(json["rows"][1]["ttft_ms"].is_null());
  EXPECT_TRUE(json["rows"][1]["roofline"]["prefill"].is_null());
  EXPECT_FALSE(json.contains("decode_tok_s"));
  r.rows.clear();
  EXPECT_TRUE(to_json(r)["rows"].is_array());
}

TEST(Report, Markdown) {
  BenchReport r = report();
  r.machine.brand = "Some CPU";
  EXPECT_EQ(to_markdown(r), R"(a<b>.gguf (llama, avx512, KV F16) on Some CPU, miao 0.1.0

| prompt | gen | batch | depth | threads | prefill tok/s | of peak | decode tok/s | of bandwidth | first token ms | token p50 / p95 / p99 ms | peak memory MB |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| 64 | 4 | 2 | 8 | 1 | 200.0 (190.0 - 210.0) | 25 % | 50.0 (50.0 - 50.0) | 50 % | 550.0 | 25.00 / 38.00 / 39.50 | 123 |

Limits with 1 thread: reads 20.0 GB/s, AMX int8 peak 1000 GOPS

Latency over uniform:1:8 (mean 4.5 tokens), 2 threads

| mean latency | ms | 95 % |
|:--|--:|--:|
| predicted, E[tau(n)] | 4.500 | 4.400 - 4.600 |
| measured, 2 inputs | 5.000 | 4.500 - 5.500 |
| batches of 4, 250.0 inputs/s | 16.000 | 15.000 - 17.000 |

The prediction is -10.0 % off (-12.0 to +1.0 %): no more than the noise of the measurements.

    tau(n) = 1 n ms

R2 0.9990, mean error 1.0 %, largest 2.0 % (at 8 tokens), of a length left out 3.0 %
)");
  r.rows.clear();
  EXPECT_EQ(to_markdown(r).find("prompt"), std::string::npos);  // no table without rows
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

size_t count(const std::string& text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

// No page needs other files or lets a name be markup; each chart has words, and what is opened is closed.
void expect_sound_page(const std::string& html) {
  EXPECT_EQ(html.find("a<b>"), std::string::npos);
  EXPECT_NE(html.find("a&lt;b&gt;"), std::string::npos);
  for (const char* outside : {"<script src", "src=", "href=", "url(", "@import", "nan"})
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  EXPECT_EQ(count(html, "<script>"), 1u);
  EXPECT_EQ(count(html, "<figure>"), count(html, "role=\"img\""));
  EXPECT_EQ(count(html, "role=\"img\""), count(html, "<desc>"));
  for (const char* tag : {"div", "table", "tr", "figure", "details", "svg", "p", "h2"}) {
    const std::string open = std::string("<") + tag;
    EXPECT_EQ(count(html, open + ">") + count(html, open + " "), count(html, std::string("</") + tag + ">")) << tag;
  }
}

TEST(Report, PagesAreSound) {
  BenchReport r = report();
  r.rows.push_back(row(2, 80));
  r.rows[0].decode_profile = {{"qkv", 0.5}};
  expect_sound_page(to_html(r));
}

TEST(Report, PagesOfAnEncoder) {
  const std::string html = to_html(encoder_report());
  expect_sound_page(html);
  for (const char* figure : {"Speed over the length of inputs", "Time of each pass", "Roofline, 2 threads",
                             "where the time goes", "a&lt;b&gt;.txt, batch 2"})
    EXPECT_NE(html.find(figure), std::string::npos) << figure;
  for (const char* decoder : {"Decode", "Prefill speed", "keys and values of 1000 tokens"})
    EXPECT_EQ(html.find(std::string(">") + decoder), std::string::npos) << decoder;
}

TEST(Report, PagesOfAnEncoderDecoder) {
  const std::string html = to_html(seq2seq_report());
  expect_sound_page(html);
  for (const char* figure : {"Speed over the batch", "written tokens/s", "where the time goes", "155.0 to 165.0"})
    EXPECT_NE(html.find(figure), std::string::npos) << figure;
  for (const char* other : {"Decode", "Roofline", "Limits of this machine"})
    EXPECT_EQ(html.find(std::string(">") + other), std::string::npos) << other;
  BenchReport alone = seq2seq_report();
  alone.seq2seqs.resize(1);
  EXPECT_EQ(to_html(alone).find("Speed over the batch"), std::string::npos);
}

TEST(Report, PagesShowEveryFigure) {
  BenchReport r = report();
  r.rows.push_back(row(2, 80));
  const std::string html = to_html(r);
  for (const char* figure : {"Prefill speed", "Decode speed", "Time of each token while decoding", "Roofline, 1 thread",
                             "Roofline, 2 threads", "Latency of one input over its length",
                             "Lengths of the inputs: uniform:1:8", "Mean latency, predicted and measured"})
    EXPECT_NE(html.find(figure), std::string::npos) << figure;
  EXPECT_NE(html.find("p95 ms"), std::string::npos);
  EXPECT_NE(html.find("memory 20.0 GB/s"), std::string::npos);
  EXPECT_NE(html.find("AMX int8 1000 GOPS"), std::string::npos);
}

// One row has no sweep, and decode alone no prefill.
TEST(Report, PagesOfOnePhase) {
  BenchReport r = report();
  r.latency.clear();
  r.rows[0].prefill_seconds.clear();
  r.rows[0].prefill_tok_s = {};
  r.rows[0].roofline.prefill = {};
  const std::string html = to_html(r);
  EXPECT_EQ(html.find("Decode speed"), std::string::npos);
  EXPECT_NE(html.find(">decode</text>"), std::string::npos);
  EXPECT_EQ(html.find(">prefill</text>"), std::string::npos);
}

}  // namespace
}  // namespace miao::measure
