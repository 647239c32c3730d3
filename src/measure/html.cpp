// The HTML form of a bench report: one page (page.h) of sections.
#include <fmt/format.h>

#include "measure/page.h"
#include "measure/report.h"
#include "measure/sections.h"

namespace miao::measure {

namespace {

std::string kernel_section(const BenchReport& report) {
  std::vector<std::vector<Cell>> kernels;
  for (const auto& group : report.kernels) {
    kernels.push_back({{group.weights},
                       {group.format},
                       {group.gemv},
                       {group.gemm},
                       number(fmt::format("{:.2f}", static_cast<double>(group.bytes) / 1e6))});
  }
  return "<h2>Kernels</h2>\n" +
         table({{"weights"}, {"format"}, {"one row"}, {"many rows"}, number("MB a token")}, kernels);
}

std::string memory_section(const BenchReport& report) {
  const auto& m = report.memory;
  const auto mb = [](int64_t bytes) { return number(fmt::format("{:.1f}", static_cast<double>(bytes) / 1e6)); };
  std::vector<std::vector<Cell>> rows = {{{"packed weights"}, mb(m.weights)}};
  if (m.embedding > 0) rows.push_back({{"embedding, mapped from the file"}, mb(m.embedding)});
  rows.push_back({{"activations and scratch"}, mb(m.buffers)});
  if (m.kv_per_token > 0) {
    rows.push_back({{"keys and values"}, mb(m.kv_reserved)});
    rows.push_back({{"keys and values of 1000 tokens"}, mb(1000 * m.kv_per_token)});
  }
  return "<h2>Memory</h2>\n" + table({{"part"}, number("MB")}, rows);
}

}  // namespace

std::string to_html(const BenchReport& report) {
  std::string out = "<h1>" + escape_html(report.model) + "</h1>\n";
  const auto fact = [&](const std::string& text) { out += "<p class=\"muted\">" + escape_html(text) + "</p>\n"; };
  fact(fmt::format("{}, {} kernels{}; miao {}, {}", report.family, report.isa,
                   report.kv.empty() ? "" : ", keys and values in " + report.kv, report.version, report.date));
  fact(fmt::format("{}, {} cores, {}", report.machine.brand, report.machine.limits.physical_cores,
                   report.machine.kernel));
  for (const std::string& warning : warnings(report))
    out += "<p class=\"warn\">" + escape_html("Warning: " + warning) + "</p>\n";
  if (!report.rows.empty()) out += speed_section(report);
  if (!report.encodes.empty()) out += encode_section(report);
  if (!report.seq2seqs.empty()) out += seq2seq_section(report);
  out += limits_section(report);
  for (const LatencyReport& latency : report.latency) out += latency_section(latency);
  return page("miao bench: " + report.model, out + kernel_section(report) + memory_section(report));
}

}  // namespace miao::measure
