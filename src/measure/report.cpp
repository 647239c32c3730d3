#include "measure/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace miao::measure {

namespace {

Json json(const Spread& s) { return {{"median", s.median}, {"min", s.min}, {"max", s.max}}; }

Json json(const std::vector<std::pair<std::string, double>>& profile) {
  Json out = Json::object();
  for (const auto& [name, seconds] : profile) out[name] = seconds;
  return out;
}

void add_row(Json& out, const BenchRow& row) {
  out["prompt"] = row.what.prompt;
  out["gen"] = row.what.gen;
  out["batch"] = row.what.batch;
  out["depth"] = row.what.depth;
  out["threads"] = row.threads;
  out["prefill_tok_s"] = row.prefill_seconds.empty() ? Json() : json(row.prefill_tok_s);
  out["decode_tok_s"] = row.decode_seconds.empty() ? Json() : json(row.decode_tok_s);
  out["ttft_ms"] = row.prefill_seconds.empty() ? Json() : Json(row.ttft_ms);
  out["itl_ms"] = row.step_seconds.empty()
                      ? Json()
                      : Json{{"p50", row.itl_p50_ms}, {"p95", row.itl_p95_ms}, {"p99", row.itl_p99_ms}};
  out["peak_rss_bytes"] = row.peak_rss;
  out["roofline"] = {
      {"bytes_per_token", row.roofline.bytes_per_token},
      {"read_bytes_per_s", row.roofline.read},
      {"decode_share", row.decode_seconds.empty() ? Json() : Json(row.roofline.decode_share)},
      {"prefill_ops_per_token", row.roofline.ops_per_token},
      {"peak_ops_per_s", row.roofline.peak},
      {"peak", row.roofline.peak_name},
      {"prefill_share", row.prefill_seconds.empty() ? Json() : Json(row.roofline.prefill_share)},
      {"vector_int8_ops_per_s", row.roofline.vector_int8},
      {"prefill_vector_int8_share",
       row.prefill_seconds.empty() || row.roofline.vector_share == 0 ? Json() : Json(row.roofline.vector_share)}};
  out["prefill_seconds"] = row.prefill_seconds;
  out["decode_seconds"] = row.decode_seconds;
  if (!row.prefill_profile.empty()) out["prefill_profile_s"] = json(row.prefill_profile);
  if (!row.decode_profile.empty()) out["decode_profile_s"] = json(row.decode_profile);
}

Json json(const LatencyReport& report) {
  Json points = Json::array();
  for (const LatencySample& p : report.points) points.push_back({{"tokens", p.length}, {"ms", 1e3 * p.seconds}});
  const LatencyModel& tau = report.tau;
  return {{"lengths", report.lengths},
          {"threads", report.threads},
          {"mean_length", report.mean_length},
          {"tau",
           {{"a_s", tau.a},
            {"b_s", tau.b},
            {"c_s", tau.c},
            {"d_s", tau.d},
            {"chunk", tau.chunk},
            {"r2", tau.r2},
            {"mape", tau.mape}}},
          {"points", std::move(points)},
          {"samples", report.samples},
          {"predicted_ms", 1e3 * report.predicted},
          {"measured_ms", 1e3 * report.measured},
          {"measured_ci95_ms", {1e3 * report.measured_ci.low, 1e3 * report.measured_ci.high}},
          {"error", report.predicted / report.measured - 1},
          {"batch", report.batch},
          {"batch_ms", 1e3 * report.batch_seconds},
          {"batch_inputs_per_s", report.batch_inputs_per_second}};
}

}  // namespace

std::vector<std::string> warnings(const BenchReport& report) {
  std::vector<std::string> out;
  if (report.isa == "scalar" && report.machine.isas.size() > 1) {
    out.push_back("scalar kernels were used although this processor has " + report.machine.isas.back());
  }
  for (const auto& group : report.kernels) {
    const bool vector_isa = report.isa != "scalar";
    if (vector_isa &&
        (group.gemv.find("scalar") != std::string::npos || group.gemm.find("scalar") != std::string::npos)) {
      out.push_back(
          fmt::format("{} ({}) runs on a scalar kernel: {}, {}", group.weights, group.format, group.gemv, group.gemm));
    }
  }
  if (report.machine.load > 0.5) {
    out.push_back(
        fmt::format("the load was {:.1f} before the run: other programs make the figures worse", report.machine.load));
  }
  for (const BenchRow& row : report.rows) {
    const auto wide = [&](const Spread& s, const char* what) {
      if (s.median > 0 && (s.max - s.min) / s.median > 0.15) {
        out.push_back(fmt::format("{} at prompt {}, gen {}, batch {}, {} threads varies by {:.0f} %", what,
                                  row.what.prompt, row.what.gen, row.what.batch, row.threads,
                                  100 * (s.max - s.min) / s.median));
      }
    };
    wide(row.prefill_tok_s, "prefill");
    wide(row.decode_tok_s, "decode");
  }
  return out;
}

Json to_json(const Machine& machine) {
  Json out;
  out["processor"] = machine.brand;
  out["isas"] = machine.isas;
  out["physical_cores"] = machine.limits.physical_cores;
  out["cpuset"] = machine.limits.cpuset;
  out["cpu_quota"] = machine.limits.quota > 0 ? Json(machine.limits.quota) : Json();
  out["default_threads"] = machine.limits.threads();
  out["memory_total_bytes"] = machine.limits.memory_total;
  out["memory_free_bytes"] = machine.limits.memory_free;
  out["kernel"] = machine.kernel;
  out["huge_pages"] = machine.huge_pages;
  out["load"] = machine.load;
  for (const ReadPoint& p : machine.read) {
    out["read"].push_back({{"threads", p.threads}, {"bytes", p.bytes}, {"bytes_per_s", p.bytes_per_second}});
  }
  for (const PeakPoint& p : machine.peaks) {
    out["peaks"].push_back({{"threads", p.threads},
                            {"fp32_ops_per_s", p.fp32},
                            {"int8_ops_per_s", p.int8},
                            {"amx_int8_ops_per_s", p.amx > 0 ? Json(p.amx) : Json()},
                            {"barrier_ns", 1e9 * p.barrier}});
  }
  return out;
}

Json to_json(const std::vector<KernelRow>& rows) {
  Json out = Json::array();
  for (const KernelRow& row : rows) {
    out.push_back({{"isa", row.isa},
                   {"format", row.format},
                   {"gemv", row.gemv},
                   {"gemv_gb_s", row.gemv_bytes_per_second / 1e9},
                   {"gemm", row.gemm},
                   {"gemm_gops", row.gemm_ops_per_second / 1e9}});
  }
  return out;
}

Json to_json(const BenchReport& report) {
  Json out;
  out["miao"] = report.version;
  out["date"] = report.date;
  out["model"] = report.model;
  out["family"] = report.family;
  out["isa"] = report.isa;
  out["dtype"] = report.dtype;
  out["kv"] = report.kv;
  if (report.rows.size() == 1) add_row(out, report.rows[0]);
  out["load_ms"] = 1e3 * report.load_seconds;
  out["memory"] = {{"weights", report.memory.weights},
                   {"embedding", report.memory.embedding},
                   {"buffers", report.memory.buffers},
                   {"kv_reserved", report.memory.kv_reserved},
                   {"kv_per_token", report.memory.kv_per_token}};
  for (const auto& group : report.kernels) {
    out["kernels"].push_back({{"weights", group.weights},
                              {"format", group.format},
                              {"gemv", group.gemv},
                              {"gemm", group.gemm},
                              {"bytes", group.bytes}});
  }
  if (report.rows.size() > 1) {
    for (const BenchRow& row : report.rows) add_row(out["rows"].emplace_back(), row);
  }
  for (const LatencyReport& latency : report.latency) out["latency"].push_back(json(latency));
  out["machine"] = to_json(report.machine);
  out["warnings"] = warnings(report);
  return out;
}

std::string to_markdown(const BenchReport& report) {
  std::string out = fmt::format("{} ({}, {}, KV {}) on {}, miao {}\n\n", report.model, report.family, report.isa,
                                report.kv, report.machine.brand, report.version);
  out +=
      "| prompt | gen | batch | depth | threads | prefill tok/s | decode tok/s | first token ms | token p50 / p99 ms | "
      "of read bandwidth | of arithmetic peak | peak memory MB |\n";
  out += "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const BenchRow& row : report.rows) {
    const auto speed = [](const Spread& s) {
      return s.median > 0 ? fmt::format("{:.1f} ({:.1f} - {:.1f})", s.median, s.min, s.max) : std::string("-");
    };
    const bool prefill = !row.prefill_seconds.empty(), decode = !row.decode_seconds.empty();
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0f} |\n", row.what.prompt,
                       row.what.gen, row.what.batch, row.what.depth, row.threads, speed(row.prefill_tok_s),
                       speed(row.decode_tok_s), prefill ? fmt::format("{:.1f}", row.ttft_ms) : "-",
                       decode ? fmt::format("{:.2f} / {:.2f}", row.itl_p50_ms, row.itl_p99_ms) : "-",
                       decode ? fmt::format("{:.0f} %", 100 * row.roofline.decode_share) : "-",
                       prefill ? fmt::format("{:.0f} %", 100 * row.roofline.prefill_share) : "-",
                       static_cast<double>(row.peak_rss) / 1e6);
  }
  for (const LatencyReport& l : report.latency) {
    out += fmt::format(
        "\nLatency over {} (mean {:.1f} tokens), {} threads: predicted {:.2f} ms, measured {:.2f} ms "
        "({:.2f} - {:.2f}), error {:+.1f} %; fit R2 {:.4f}, mean error {:.1f} %; batch of {}: {:.2f} ms, {:.1f} "
        "inputs/s\n",
        l.lengths, l.mean_length, l.threads, 1e3 * l.predicted, 1e3 * l.measured, 1e3 * l.measured_ci.low,
        1e3 * l.measured_ci.high, 100 * (l.predicted / l.measured - 1), l.tau.r2, 100 * l.tau.mape, l.batch,
        1e3 * l.batch_seconds, l.batch_inputs_per_second);
  }
  for (const std::string& warning : warnings(report)) out += "\nWarning: " + warning + "\n";
  return out;
}

}  // namespace miao::measure
