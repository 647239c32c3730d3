#include "cli/bench/text.h"

#include <fmt/format.h>

#include "cli/output.h"
#include "cli/terminal.h"

namespace miao::cli {

namespace {

std::string limits_line(int threads, const measure::Limits& limits, const measure::Peak& peak) {
  return fmt::format("limits with {} thread{}: reads {:.1f} GB/s, {} peak {:.0f} GOPS\n", threads,
                     threads == 1 ? "" : "s", limits.read / 1e9, peak.name, peak.ops / 1e9);
}

std::string speed(const measure::Spread& s) { return fmt::format("{:.1f} ({:.1f}-{:.1f})", s.median, s.min, s.max); }

std::string decoder_table(const measure::BenchReport& report) {
  Table out({{"prompt", true},
             {"gen", true},
             {"batch", true},
             {"depth", true},
             {"threads", true},
             {"prefill tok/s", true},
             {"of peak", true},
             {"decode tok/s", true},
             {"of bandwidth", true},
             {"first token", true},
             {"token p50 / p95 / p99", true},
             {"peak memory", true}});
  for (const measure::BenchRow& row : report.rows) {
    const bool prefill = !row.prefill_seconds.empty(), decode = !row.decode_seconds.empty();
    out.add({std::to_string(row.what.prompt), std::to_string(row.what.gen), std::to_string(row.what.batch),
             std::to_string(row.what.depth), std::to_string(row.threads), prefill ? speed(row.prefill_tok_s) : "-",
             prefill ? fmt::format("{:.0f} %", 100 * row.roofline.prefill.share) : "-",
             decode ? speed(row.decode_tok_s) : "-",
             decode ? fmt::format("{:.0f} %", 100 * row.roofline.decode.share) : "-",
             prefill ? fmt::format("{:.1f} ms", row.ttft_ms) : "-",
             decode ? fmt::format("{:.2f} / {:.2f} / {:.2f} ms", row.itl_p50_ms, row.itl_p95_ms, row.itl_p99_ms) : "-",
             human_bytes(static_cast<uint64_t>(row.peak_rss))});
  }
  const measure::BenchRow& first = report.rows[0];
  return out.str() + limits_line(first.threads, first.roofline.limits, first.roofline.peak);
}

std::string encoder_table(const measure::BenchReport& report) {
  Table out({{"inputs"},
             {"threads", true},
             {"inputs/s", true},
             {"tokens/s", true},
             {"of peak", true},
             {"with tokenising", true},
             {"pass p50 / p90 / p99", true},
             {"peak memory", true}});
  for (const measure::EncodeRow& row : report.encodes) {
    out.add({printable(name_of(row)), std::to_string(row.threads), speed(row.inputs_s),
             fmt::format("{:.0f}", row.tok_s.median), fmt::format("{:.0f} %", 100 * row.load.share),
             row.texts.empty() ? "-" : fmt::format("{:.1f}/s", row.whole_inputs_s.median),
             fmt::format("{:.3f} / {:.3f} / {:.3f} ms", row.pass_p50_ms, row.pass_p90_ms, row.pass_p99_ms),
             human_bytes(static_cast<uint64_t>(row.peak_rss))});
  }
  const measure::EncodeRow& first = report.encodes[0];
  return out.str() + limits_line(first.threads, first.limits, first.peak);
}

std::string seq2seq_table(const measure::BenchReport& report) {
  Table out({{"prompt", true},
             {"gen", true},
             {"batch", true},
             {"beams", true},
             {"threads", true},
             {"encode tok/s", true},
             {"written tok/s", true},
             {"latency p50 / p90", true},
             {"peak memory", true}});
  for (const measure::Seq2SeqRow& row : report.seq2seqs) {
    out.add({std::to_string(row.what.prompt), std::to_string(row.what.gen), std::to_string(row.what.batch),
             std::to_string(row.what.beams), std::to_string(row.threads), speed(row.encode_tok_s),
             speed(row.written_tok_s), fmt::format("{:.2f} / {:.2f} ms", row.latency_p50_ms, row.latency_p90_ms),
             human_bytes(static_cast<uint64_t>(row.peak_rss))});
  }
  return out.str();
}

// Where time goes, of `tokens` tokens.
std::string steps_table(const std::string& title, const std::vector<std::pair<std::string, double>>& profile,
                        double tokens) {
  if (profile.empty()) return {};
  double sum = 0;
  for (const auto& step : profile) sum += step.second;
  Table steps({{title}, {"us per token", true}, {"share", true}});
  for (const auto& [name, seconds] : profile)
    steps.add({name, fmt::format("{:.2f}", 1e6 * seconds / tokens), fmt::format("{:.1f} %", 100 * seconds / sum)});
  return "\n" + steps.str();
}

}  // namespace

std::string speed_tables(const measure::BenchReport& report) {
  std::string out;
  if (!report.rows.empty()) out += decoder_table(report) + "\n";
  if (!report.encodes.empty()) out += encoder_table(report) + "\n";
  if (!report.seq2seqs.empty()) out += seq2seq_table(report) + "\n";
  return out;
}

std::string kernel_table(const measure::BenchReport& report) {
  Table out({{"weights"}, {"format"}, {"one row"}, {"many rows"}, {"MB a token", true}});
  for (const auto& group : report.kernels) {
    out.add({group.weights, group.format, group.gemv, group.gemm,
             fmt::format("{:.2f}", static_cast<double>(group.bytes) / 1e6)});
  }
  return out.str();
}

std::string profile_tables(const measure::BenchReport& report) {
  std::string out;
  for (const measure::BenchRow& row : report.rows) {
    const auto batch = static_cast<double>(row.what.batch);
    out += steps_table("prefill step", row.prefill_profile,
                       batch * static_cast<double>(row.what.prompt) * static_cast<double>(row.prefill_seconds.size()));
    out += steps_table("decode step", row.decode_profile, batch * static_cast<double>(row.step_seconds.size()));
  }
  for (const measure::EncodeRow& row : report.encodes) {
    out += steps_table(name_of(row), row.profile,
                       static_cast<double>(row.tokens) * static_cast<double>(row.seconds.size()));
  }
  for (const measure::Seq2SeqRow& row : report.seq2seqs) out += steps_table(name_of(row), row.profile, row.written());
  return out;
}

std::string latency_text(const measure::LatencyReport& l) {
  const auto row = [](const std::string& what, const measure::Estimate& e) {
    return fmt::format("  {:<11}{:.3f} ms (95 %: {:.3f} to {:.3f})", what, 1e3 * e.value, 1e3 * e.ci.low,
                       1e3 * e.ci.high);
  };
  std::string out =
      fmt::format("latency over {}, mean {:.1f} tokens, {} threads\n", l.lengths, l.mean_length, l.threads);
  out += "  tau(n)     " + l.tau.formula() + " ms\n";
  out += fmt::format(
      "  fit        R2 {:.4f}; error: mean {:.1f} %, largest {:.1f} % (at {} tokens), of a length left "
      "out {:.1f} %\n",
      l.error.r2, 100 * l.error.mean, 100 * l.error.largest, l.error.largest_at, 100 * l.error.left_out);
  out += row("predicted", l.predicted) + "\n";
  out += row("measured", l.measured) + fmt::format(" over {} inputs\n", l.inputs.size());
  out += fmt::format("  difference {:+.1f} % (95 %: {:+.1f} to {:+.1f}): {}\n", 100 * l.difference.value,
                     100 * l.difference.ci.low, 100 * l.difference.ci.high, measure::verdict(l));
  if (l.batch > 1) {
    out += row(fmt::format("batch {}", l.batch), l.batch_seconds) +
           fmt::format(" a pass, {:.1f} inputs/s\n", l.batch_inputs_per_second);
  }
  return out;
}

}  // namespace miao::cli
