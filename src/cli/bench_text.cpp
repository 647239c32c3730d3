#include "cli/bench_text.h"

#include <fmt/format.h>

#include "cli/output.h"
#include "cli/terminal.h"

namespace miao::cli {

std::string speed_table(const measure::BenchReport& report) {
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
    const auto speed = [](const measure::Spread& s) {
      return fmt::format("{:.1f} ({:.1f}-{:.1f})", s.median, s.min, s.max);
    };
    out.add({std::to_string(row.what.prompt), std::to_string(row.what.gen), std::to_string(row.what.batch),
             std::to_string(row.what.depth), std::to_string(row.threads), prefill ? speed(row.prefill_tok_s) : "-",
             prefill ? fmt::format("{:.0f} %", 100 * row.roofline.prefill.share) : "-",
             decode ? speed(row.decode_tok_s) : "-",
             decode ? fmt::format("{:.0f} %", 100 * row.roofline.decode.share) : "-",
             prefill ? fmt::format("{:.1f} ms", row.ttft_ms) : "-",
             decode ? fmt::format("{:.2f} / {:.2f} / {:.2f} ms", row.itl_p50_ms, row.itl_p95_ms, row.itl_p99_ms) : "-",
             human_bytes(static_cast<uint64_t>(row.peak_rss))});
  }
  const measure::Roofline& roof = report.rows[0].roofline;
  return out.str() + fmt::format("limits with {} thread{}: reads {:.1f} GB/s, {} peak {:.0f} GOPS\n",
                                 report.rows[0].threads, report.rows[0].threads == 1 ? "" : "s", roof.limits.read / 1e9,
                                 roof.peak_name, roof.peak / 1e9);
}

std::string kernel_table(const measure::BenchReport& report) {
  Table out({{"weights"}, {"format"}, {"one row"}, {"many rows"}, {"MB a token", true}});
  for (const auto& group : report.kernels) {
    out.add({group.weights, group.format, group.gemv, group.gemm,
             fmt::format("{:.2f}", static_cast<double>(group.bytes) / 1e6)});
  }
  return out.str();
}

std::string profile_table(const measure::BenchRow& row) {
  std::string out;
  const auto add = [&](const char* title, const std::vector<std::pair<std::string, double>>& profile, int64_t tokens) {
    if (profile.empty()) return;
    double sum = 0;
    for (const auto& step : profile) sum += step.second;
    Table steps({{title}, {"us per token", true}, {"share", true}});
    for (const auto& [name, seconds] : profile) {
      steps.add({name, fmt::format("{:.2f}", 1e6 * seconds / static_cast<double>(tokens)),
                 fmt::format("{:.1f} %", 100 * seconds / sum)});
    }
    out += "\n" + steps.str();
  };
  add("prefill step", row.prefill_profile,
      row.what.batch * row.what.prompt * static_cast<int64_t>(row.prefill_seconds.size()));
  add("decode step", row.decode_profile, row.what.batch * static_cast<int64_t>(row.step_seconds.size()));
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
