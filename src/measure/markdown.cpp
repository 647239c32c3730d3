// The Markdown form of a bench report: a table for each kind of rows, and what the latency of a workload is.
#include <fmt/format.h>

#include "measure/report.h"

namespace miao::measure {

namespace {

std::string speed(const Spread& s) { return fmt::format("{:.1f} ({:.1f} - {:.1f})", s.median, s.min, s.max); }

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::string limits_line(int threads, const Limits& limits, const Peak& peak) {
  return fmt::format("\nLimits with {} thread{}: reads {:.1f} GB/s, {} peak {:.0f} GOPS\n", threads,
                     threads == 1 ? "" : "s", limits.read / 1e9, peak.name, peak.ops / 1e9);
}

std::string decoder_table(const BenchReport& report) {
  std::string out =
      "\n| prompt | gen | batch | depth | threads | prefill tok/s | of peak | decode tok/s | of bandwidth | "
      "first token ms | token p50 / p95 / p99 ms | peak memory MB |\n";
  out += "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const BenchRow& row : report.rows) {
    const bool prefill = !row.prefill_seconds.empty(), decode = !row.decode_seconds.empty();
    const auto dash = [](bool there, const std::string& text) { return there ? text : std::string("-"); };
    out += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0f} |\n", row.what.prompt, row.what.gen,
        row.what.batch, row.what.depth, row.threads, dash(prefill, speed(row.prefill_tok_s)),
        dash(prefill, fmt::format("{:.0f} %", 100 * row.roofline.prefill.share)), dash(decode, speed(row.decode_tok_s)),
        dash(decode, fmt::format("{:.0f} %", 100 * row.roofline.decode.share)),
        dash(prefill, fmt::format("{:.1f}", row.ttft_ms)),
        dash(decode, fmt::format("{:.2f} / {:.2f} / {:.2f}", row.itl_p50_ms, row.itl_p95_ms, row.itl_p99_ms)),
        megabytes(row.peak_rss));
  }
  const BenchRow& first = report.rows[0];
  return out + limits_line(first.threads, first.roofline.limits, first.roofline.peak);
}

std::string encoder_table(const BenchReport& report) {
  std::string out =
      "\n| inputs | threads | inputs/s | tokens/s | of peak | with tokenising, inputs/s | pass p50 / p90 / p99 ms | "
      "peak memory MB |\n|:--|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const EncodeRow& row : report.encodes) {
    out += fmt::format("| {} | {} | {} | {:.0f} | {:.0f} % | {} | {:.3f} / {:.3f} / {:.3f} | {:.0f} |\n", name_of(row),
                       row.threads, speed(row.inputs_s), row.tok_s.median, 100 * row.load.share,
                       row.texts.empty() ? "-" : speed(row.whole_inputs_s), row.pass_p50_ms, row.pass_p90_ms,
                       row.pass_p99_ms, megabytes(row.peak_rss));
  }
  const EncodeRow& first = report.encodes[0];
  return out + limits_line(first.threads, first.limits, first.peak);
}

std::string seq2seq_table(const BenchReport& report) {
  std::string out =
      "\n| prompt | gen | batch | beams | threads | encode tok/s | written tok/s | latency p50 / p90 ms | "
      "peak memory MB |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const Seq2SeqRow& row : report.seq2seqs) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {:.2f} / {:.2f} | {:.0f} |\n", row.what.prompt,
                       row.what.gen, row.what.batch, row.what.beams, row.threads, speed(row.encode_tok_s),
                       speed(row.written_tok_s), row.latency_p50_ms, row.latency_p90_ms, megabytes(row.peak_rss));
  }
  return out;
}

std::string latency_text(const LatencyReport& l) {
  const auto row = [](const std::string& what, const Estimate& e) {
    return fmt::format("| {} | {:.3f} | {:.3f} - {:.3f} |\n", what, 1e3 * e.value, 1e3 * e.ci.low, 1e3 * e.ci.high);
  };
  std::string out =
      fmt::format("\nLatency over {} (mean {:.1f} tokens), {} threads\n\n", l.lengths, l.mean_length, l.threads);
  out += "| mean latency | ms | 95 % |\n|:--|--:|--:|\n" + row("predicted, E[tau(n)]", l.predicted) +
         row(fmt::format("measured, {} inputs", l.inputs.size()), l.measured);
  if (l.batch > 1)
    out += row(fmt::format("batches of {}, {:.1f} inputs/s", l.batch, l.batch_inputs_per_second), l.batch_seconds);
  return out + fmt::format(
                   "\nThe prediction is {:+.1f} % off ({:+.1f} to {:+.1f} %): {}.\n\n    tau(n) = {} ms\n\n"
                   "R2 {:.4f}, mean error {:.1f} %, largest {:.1f} % (at {} tokens), of a length left out {:.1f} %\n",
                   100 * l.difference.value, 100 * l.difference.ci.low, 100 * l.difference.ci.high, verdict(l),
                   l.tau.formula(), l.error.r2, 100 * l.error.mean, 100 * l.error.largest, l.error.largest_at,
                   100 * l.error.left_out);
}

}  // namespace

std::string to_markdown(const BenchReport& report) {
  std::string out = fmt::format("{} ({}, {}{}) on {}, miao {}\n", report.model, report.family, report.isa,
                                report.kv.empty() ? "" : ", KV " + report.kv, report.machine.brand, report.version);
  if (!report.rows.empty()) out += decoder_table(report);
  if (!report.encodes.empty()) out += encoder_table(report);
  if (!report.seq2seqs.empty()) out += seq2seq_table(report);
  for (const LatencyReport& latency : report.latency) out += latency_text(latency);
  for (const std::string& warning : warnings(report)) out += "\nWarning: " + warning + "\n";
  return out;
}

}  // namespace miao::measure
